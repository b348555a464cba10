"""Failed log-ons, counted in buckets that leak: by account and address together, by account, by address.

Account and address together are locked out: whoever guesses shuts out nobody but themselves. An account or an address
alone is slowed to one log-on a second, and never where that account has logged on from that address before. Buckets
are changed in transactions of their own, so that parallel guesses all count and nothing rolls them back.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from console.core.errors import Refusal
from edge.protocol.codes import Code
from roaming.sessions.models import LogonFailures

# One address may stand for a whole office behind one router, one account for a user who is guessed at from everywhere:
# each has this many times the failures of an account from an address.
WIDE_FACTOR = 5
TURN = timedelta(seconds=1)


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


@dataclass(frozen=True)
class Guess:
    """Buckets that one log-on counts in, as key → limit. Unknown names count as existing names do."""

    pair: dict[str, int]
    wide: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, instance: str, username: str, address: str) -> "Guess":
        name = hashlib.sha256(f"{instance}\n{username.lower()}".encode()).hexdigest()[:32]
        limit = settings.LOGON_FAILURE_LIMIT
        wide = {f"name:{name}": limit * WIDE_FACTOR}
        if address:
            wide[f"address:{address}"] = limit * WIDE_FACTOR
        return cls({f"pair:{name}:{address}": limit}, wide)


def check(guess: Guess) -> None:
    """Raise ``LockedOut`` while account and address together have failed too often."""
    if wait := max(_waits(guess.pair), default=0.0):
        raise LockedOut(max(1, math.ceil(wait)))


def take_turn(guess: Guess, known: Callable[[], bool]) -> None:
    """Raise ``Slowed`` when account or address alone have failed too often, unless it is this log-on's turn.

    ``known`` tells whether the account has logged on from the address before; then no turn is needed.
    """
    now = timezone.now()
    over = [key for key, wait in zip(sorted(guess.wide), _waits(guess.wide), strict=True) if wait]
    if not over or known():
        return
    free = Q(turn_at=None) | Q(turn_at__lte=now)
    if not LogonFailures.objects.filter(free, key=over[0]).update(turn_at=now + TURN):
        raise Slowed


def failed(guess: Guess, password: str) -> None:
    """Count a wrong password. One that a program repeats for an account from an address is one mistake."""
    wrong = salted_hmac("roaming.lockout", password, algorithm="sha256").hexdigest()[:16]
    with _locked(guess) as (rows, now):
        (pair,) = (rows[key] for key in guess.pair)
        repeated, pair.last_wrong = pair.last_wrong == wrong, wrong
        for key, limit in (guess.pair | guess.wide).items():
            row = rows[key]
            row.level, row.updated_at = _level(row, limit, now) + (not repeated), now


def succeeded(guess: Guess) -> None:
    """Forget the failures of the account from this address; one good password excuses no other guesses."""
    LogonFailures.objects.filter(key__in=guess.pair).delete()


def forget_old() -> int:
    """Let the worker drop buckets that have run empty; return how many."""
    return LogonFailures.objects.filter(updated_at__lte=timezone.now() - settings.LOGON_LOCKOUT).delete()[0]


def _waits(limits: dict[str, int]) -> list[float]:
    """Return for each key, in the order of the keys, after how many seconds its bucket has room for one failure."""
    now = timezone.now()
    rows = {row.key: row for row in LogonFailures.objects.filter(key__in=limits)}
    waits = []
    for key, limit in sorted(limits.items()):
        over = _level(rows[key], limit, now) - (limit - 1) if key in rows else 0.0
        waits.append(max(0.0, over) * settings.LOGON_LOCKOUT.total_seconds() / limit)
    return waits


def _level(row: LogonFailures, limit: int, now: datetime) -> float:
    """Return how full a bucket is now: a full one runs empty in the time of a lock-out."""
    leaked = (now - row.updated_at) / settings.LOGON_LOCKOUT * limit
    return max(0.0, row.level - max(0.0, leaked))


@contextmanager
def _locked(guess: Guess) -> Iterator[tuple[dict[str, LogonFailures], datetime]]:
    """Give a guess's buckets, locked in the order of their keys, and store them afterwards."""
    keys, now = sorted(guess.pair | guess.wide), timezone.now()
    with transaction.atomic():
        LogonFailures.objects.bulk_create(
            [LogonFailures(key=key, updated_at=now) for key in keys], ignore_conflicts=True
        )
        found = LogonFailures.objects.filter(key__in=keys).order_by("key").select_for_update()
        rows = {row.key: row for row in found}
        yield rows, now
        LogonFailures.objects.bulk_update(rows.values(), ["level", "updated_at", "last_wrong"])
