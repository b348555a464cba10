"""Failed log-ons, counted in buckets that leak: by account and address together, by account, by address.

Log-ons by the right password have a share of each minute, so that a loop of log-ons and log-offs stays cheap.
Account and address together are locked out: whoever guesses shuts out nobody but themselves. An account or an address
alone is slowed to one log-on a second, and never where that account has logged on from that address before. Buckets
are changed in transactions of their own, so that parallel guesses all count and nothing rolls them back.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from console.core import audit, log_ins
from console.core.audit import Actor
from console.core.errors import Refusal
from console.core.rates import Rate
from edge.protocol.codes import Code
from roaming.accounts.models import ClientAccount
from roaming.sessions.models import LogonFailures

Kind = LogonFailures.Kind
# One address may stand for a whole office behind one router, one account for a user who is guessed at from everywhere:
# each has this many times the failures of an account from an address.
WIDE_FACTOR = 5
TURN = timedelta(seconds=1)
# Log-ons by the right password: whoever has none cannot use up an account's share.
logons = Rate(lambda: settings.LOGONS_PER_MINUTE)


class LockedOut(Refusal):
    """Refusal of a log-on after too many failures. ``retry_after``: seconds."""

    status = 429
    code = "LockedOut"

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(f"Too many log-ons have failed. Try again in {wait}.")
        self.retry_after = retry_after


class Slowed(Refusal):
    """Answer to a log-on that is not looked at yet, since others of the account or address failed before it."""

    status = Code.TRY_AGAIN_LATER.status
    code = Code.TRY_AGAIN_LATER
    retry_after = 2

    def __init__(self) -> None:
        super().__init__(
            "Many log-ons have failed, so that they are looked at one by one. Try again in a moment."
        )


class TooManyLogons(Refusal):
    """Refusal of a log-on of an account that has had its share of the minute. ``retry_after``: seconds."""

    status = 429
    code = Code.LOCKED_OUT

    def __init__(self, wait: float) -> None:
        super().__init__(
            f"This client account has logged on {settings.LOGONS_PER_MINUTE} times within a minute, which is as often "
            "as an account may. Try again in a minute."
        )
        self.retry_after = max(1, math.ceil(wait))


@dataclass(frozen=True)
class Guess:
    """One log-on's buckets: empty rows by their keys. Unknown names count as existing names do."""

    buckets: dict[str, LogonFailures]

    @classmethod
    def of(cls, instance: str, username: str, address: str, account: ClientAccount | None) -> "Guess":
        name = f"{instance}\n{username.lower()}"
        rows = [
            LogonFailures(
                kind=Kind.PAIR, key=_key(Kind.PAIR, name, address), account=account, address=address
            ),
            LogonFailures(kind=Kind.NAME, key=_key(Kind.NAME, name), account=account),
        ]
        if address:
            rows.append(LogonFailures(kind=Kind.ADDRESS, key=_key(Kind.ADDRESS, address), address=address))
        return cls({row.key: row for row in sorted(rows, key=lambda row: row.key)})

    def full(self, *kinds: str) -> dict[str, datetime]:
        """Read which buckets of some kinds have no room now, and until when."""
        keys = [key for key, row in self.buckets.items() if row.kind in kinds]
        full = LogonFailures.objects.filter(key__in=keys, until__gt=timezone.now()).order_by("key")
        return {key: until for key, until in full.values_list("key", "until") if until}


def share(account: ClientAccount | None) -> None:
    """Raise ``TooManyLogons`` for an account that has logged on as often as an account may in a minute."""
    if account is not None and (wait := logons.wait(account.pk)) > 0:
        raise TooManyLogons(wait)


def check(guess: Guess) -> None:
    """Raise ``LockedOut`` while account and address together have failed too often."""
    for until in guess.full(Kind.PAIR).values():
        raise LockedOut(max(1, math.ceil((until - timezone.now()).total_seconds())))


def take_turn(guess: Guess, *, known: bool) -> None:
    """Raise ``Slowed`` when account or address alone have failed too often, unless it is this log-on's turn.

    ``known``: the account has logged on from the address before; then no turn is needed.
    """
    if known or not (over := guess.full(Kind.NAME, Kind.ADDRESS)):
        return
    now = timezone.now()
    free = LogonFailures.objects.filter(Q(turn_at=None) | Q(turn_at__lte=now), key=next(iter(over)))
    # Look before writing: on SQLite each try to write keeps all others from writing, also one that changes nothing.
    if not (free.exists() and free.update(turn_at=now + TURN)):
        raise Slowed


def failed(guess: Guess, password: str) -> None:
    """Count a wrong password. One that a program repeats for an account from an address is one mistake."""
    wrong = salted_hmac("roaming.lockout", password, algorithm="sha256").hexdigest()[:16]
    now = timezone.now()
    with transaction.atomic():
        for row in guess.buckets.values():
            row.updated_at = now
        LogonFailures.objects.bulk_create(guess.buckets.values(), ignore_conflicts=True)
        rows = LogonFailures.objects.filter(key__in=guess.buckets).order_by("key").select_for_update()
        found = {Kind(row.kind): row for row in rows}
        repeated = found[Kind.PAIR].last_wrong == wrong
        found[Kind.PAIR].last_wrong = wrong
        before = found[Kind.PAIR].until
        for row in found.values():
            _fill(row, now, 0 if repeated else 1)
        LogonFailures.objects.bulk_update(found.values(), ["level", "updated_at", "until", "last_wrong"])
    pair = found[Kind.PAIR]
    if pair.until is not None and (before is None or before <= now):
        name = pair.account.username if pair.account else "a name that does not exist"
        log_ins.note(log_ins.ACCOUNT, name, lock_outs=1, address=pair.address)


def succeeded(guess: Guess) -> None:
    """Forget the failures of the account from this address; one good password excuses no other guesses."""
    LogonFailures.objects.filter(key__in=guess.buckets, kind=Kind.PAIR).delete()


@transaction.atomic
def lockout_lift(*, row: LogonFailures, actor: Actor) -> None:
    """Forget the failures in a bucket, so that log-ons are neither refused nor slowed by the bucket any more."""
    audit.record(
        actor=actor, verb="logon.lift", target=row, before={"address": row.address, "kind": row.kind}
    )
    LogonFailures.objects.filter(pk=row.pk).delete()


def forget_old() -> int:
    """Let the worker drop buckets that have run empty; return how many."""
    return LogonFailures.objects.filter(updated_at__lte=timezone.now() - settings.LOGON_LOCKOUT).delete()[0]


def _fill(row: LogonFailures, now: datetime, failures: int) -> None:
    """Let a bucket leak until now and put failures in: a full one runs empty in the time of a lock-out."""
    limit = settings.LOGON_FAILURE_LIMIT * (1 if row.kind == Kind.PAIR else WIDE_FACTOR)
    a_failure_leaks = settings.LOGON_LOCKOUT / limit
    row.level = max(0.0, row.level - max(0.0, (now - row.updated_at) / a_failure_leaks)) + failures
    row.updated_at = now
    over = row.level - (limit - 1)
    row.until = now + over * a_failure_leaks if over > 0 else None


def _key(kind: Kind, *parts: str) -> str:
    return f"{kind}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:40]}"
