"""Log-ins, log-outs and failures in the audit; lock-outs of the console's users, shown and lifted.

Failures are counted in `FailedLogIns`, by address and minute, and become audit rows when the minute is over: whoever
guesses passwords fills no table, and takes no lock that changes wait for.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.db.models import Max, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from console.core import audit, sessions
from console.core.models.access import User
from console.core.models.audit import FailedLogIns

USER, ACCOUNT = "user", "account"
WHO = {USER: audit.System("log-in"), ACCOUNT: audit.System("log-on")}
LOCK_OUT = {USER: "user.lock_out", ACCOUNT: "account.lock_out"}
MOST_NAMES = 5
LONGEST_NAME = 60
# Addresses that are told apart within one minute; failures from further ones are counted together.
MOST_ADDRESSES = 30
MINUTE = timedelta(minutes=1)


# --- What happens -----------------------------------------------------------------------------------------------------


def connect() -> None:
    """Have Django and axes tell of log-ins, whichever door they come through."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_failed, dispatch_uid="audit")
    user_locked_out.connect(_locked_out, dispatch_uid="audit")


@transaction.atomic
def _logged_in(user: User, request: HttpRequest, **kwargs: Any) -> None:
    sessions.note(request)
    audit.record(actor=user, verb="user.log_in", target=user)


@transaction.atomic
def _logged_out(user: User | None, **kwargs: Any) -> None:
    if user is not None:
        audit.record(actor=user, verb="user.log_out", target=user)


def _failed(credentials: dict[str, Any], **kwargs: Any) -> None:
    note(USER, str(credentials.get("username") or ""), failures=1)


def _locked_out(request: HttpRequest, username: str | None, **kwargs: Any) -> None:
    # Told of at every attempt while the lock-out lasts; the one that began it has just reached the limit.
    if getattr(request, "axes_failures_since_start", None) == settings.AXES_FAILURE_LIMIT:
        note(USER, username or "", lock_outs=1)


# --- Guesses behind a log-in's first step -----------------------------------------------------------------------------


def locked_out(request: HttpRequest, username: str) -> HttpResponse | None:
    """Return the page that tells of a lock-out of the user from the caller's address; None without a lock-out."""
    named = {"username": username}
    if AxesProxyHandler.is_allowed(request, named):
        return None
    answer: HttpResponse = get_lockout_response(request, credentials=named)
    return answer


def guessed_wrong(request: HttpRequest, username: str) -> HttpResponse | None:
    """Count a wrong code or password as a failed log-in; return the page of the lock-out that begins, if one does."""
    user_login_failed.send(sender=__name__, credentials={"username": username}, request=request)
    return locked_out(request, username)


# --- Failures, counted ------------------------------------------------------------------------------------------------


@transaction.atomic
def note(kind: str, name: str, *, failures: int = 0, lock_outs: int = 0, address: str | None = None) -> None:
    """Count failed attempts or lock-outs that began. ``address``: the caller's, the request's own without it."""
    minute = timezone.now().replace(second=0, microsecond=0)
    place = _place(audit.source.get() if address is None else address)
    counted = FailedLogIns.objects.filter(kind=kind, minute=minute)
    if not counted.filter(address=place).exists() and counted.count() >= MOST_ADDRESSES:
        place = ""
    FailedLogIns.objects.bulk_create(
        [FailedLogIns(kind=kind, minute=minute, address=place)], ignore_conflicts=True
    )
    row = counted.select_for_update().get(address=place)
    row.failures, row.lock_outs = row.failures + failures, row.lock_outs + lock_outs
    _add(row.names if failures else row.locked, cleaned(name))
    row.save(update_fields=["failures", "lock_outs", "names", "locked"])


def cleaned(name: str) -> str:
    """Return a name as typed by whoever, without what could break a line or a table."""
    text = "".join(
        each if each.isprintable() else "\ufffd" for each in audit.storable(name[: LONGEST_NAME + 1])
    )
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def tell(now: datetime | None = None) -> int:
    """Make audit rows of the minutes that are over; return how many. A job of the worker."""
    over = (now or timezone.now()).replace(second=0, microsecond=0)
    told = 0
    for key in FailedLogIns.objects.filter(minute__lt=over).order_by("pk").values_list("pk", flat=True)[:200]:
        with transaction.atomic():
            row = FailedLogIns.objects.select_for_update().filter(pk=key).first()
            if row is not None:
                told += _tell(row)
                FailedLogIns.objects.filter(pk=key).delete()
    return told


def _tell(row: FailedLogIns) -> int:
    minute = row.minute.strftime("%Y-%m-%d %H:%M UTC")
    wanted: list[tuple[str, str, int, Sequence[str]]] = [
        ("user.log_in_failed", "failures", row.failures, row.names),
        (LOCK_OUT[row.kind], "locked_out", row.lock_outs, row.locked),
    ]
    done = 0
    with audit.source_of(row.address or "many addresses"):
        for verb, what, number, names in wanted:
            if number:
                after = {what: number, "user_names": list(names), "minute": minute}
                target = audit.Matter("user" if row.kind == USER else "clientaccount", ", ".join(names))
                audit.record(actor=WHO[row.kind], verb=verb, target=target, after=after)
                done += 1
    return done


def _add(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < MOST_NAMES:
        names.append(name)


def _place(address: str) -> str:
    """Return what stands for an address: of IPv6 the network of 64 bits, all of which one caller has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


# --- Lock-outs of the console's users ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class LockOut:
    """A user name that is locked out from an address. ``id``: an attempt, which names the lock-out in URLs."""

    id: int
    username: str
    user: User | None
    address: str
    failures: int
    until: datetime


def lock_outs(limit: int = 100) -> list[LockOut]:
    """Return who is locked out now, the newest first. Two queries."""
    rest: timedelta = settings.AXES_COOLOFF_TIME
    attempts = AccessAttempt.objects.filter(attempt_time__gt=timezone.now() - rest).order_by()
    found = attempts.values("username", "ip_address").annotate(
        id=Min("pk"), failures=Sum("failures_since_start"), last=Max("attempt_time")
    )
    rows = list(found.filter(failures__gte=settings.AXES_FAILURE_LIMIT).order_by("-last")[:limit])
    names = [row["username"] for row in rows]
    users = {user.username: user for user in User.objects.filter(username__in=names)}
    return [
        LockOut(
            row["id"],
            row["username"] or "",
            users.get(row["username"] or ""),
            row["ip_address"] or "",
            row["failures"],
            row["last"] + rest,
        )
        for row in rows
    ]


@transaction.atomic
def lock_out_lift(*, attempt_id: int, actor: audit.Actor) -> str:
    """Forget the failures of a user name from an address; return the name. Raises ``Http404`` when there are none."""
    attempt = AccessAttempt.objects.filter(pk=attempt_id).first()
    if attempt is None:
        raise Http404
    user = User.objects.filter(username=attempt.username).first()
    name = user.username if user else "a name that does not exist"
    target: audit.Target = user or audit.Matter("user", name)
    AccessAttempt.objects.filter(username=attempt.username, ip_address=attempt.ip_address).delete()
    audit.record(actor=actor, verb="user.lift", target=target, before={"address": attempt.ip_address or ""})
    return name
