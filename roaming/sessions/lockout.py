"""Failed log-ons, counted per user name and per address; too many lock out for a while.

Every count is one atomic UPDATE outside any transaction of the log-on, so that parallel guesses are all counted and
nothing rolls them back.
"""

import hashlib
import math

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from console.core.errors import Refusal
from roaming.sessions.models import LogonFailures

# One address may stand for a whole office behind one router: it has this many times the failures of one user name.
ADDRESS_FACTOR = 5


class LockedOut(Refusal):
    """Refusal of a log-on after too many failures. ``retry_after``: seconds."""

    status = 429
    code = "LockedOut"

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(f"Too many log-ons have failed. Try again in {wait}.")
        self.retry_after = retry_after


def keys(instance: str, username: str, address: str) -> dict[str, int]:
    """Return the keys that a log-on counts against, each with its limit. Unknown names lock as existing names do."""
    name = hashlib.sha256(f"{instance}\n{username.lower()}".encode()).hexdigest()
    limits = {f"name:{name}": settings.LOGON_FAILURE_LIMIT}
    if address:
        limits[f"address:{address}"] = settings.LOGON_FAILURE_LIMIT * ADDRESS_FACTOR
    return limits


def check(limits: dict[str, int]) -> None:
    """Raise ``LockedOut`` while one of the keys is locked."""
    now = timezone.now()
    until = (
        LogonFailures.objects.filter(key__in=limits, locked_until__gt=now)
        .order_by("-locked_until")
        .values_list("locked_until", flat=True)
        .first()
    )
    if until is not None:
        raise LockedOut(max(1, math.ceil((until - now).total_seconds())))


def failed(limits: dict[str, int]) -> None:
    now = timezone.now()
    rows = LogonFailures.objects.filter(key__in=limits)
    # Failures are forgotten when the first of them, or the lock they led to, lies a lock-out's time back.
    over = Q(locked_until=None, first_at__lte=now - settings.LOGON_LOCKOUT) | Q(locked_until__lte=now)
    rows.filter(over).update(count=0, first_at=now, locked_until=None)
    LogonFailures.objects.bulk_create(
        [LogonFailures(key=key, count=0, first_at=now) for key in sorted(limits)], ignore_conflicts=True
    )
    for key, limit in sorted(limits.items()):
        row = LogonFailures.objects.filter(key=key)
        row.update(count=F("count") + 1)
        row.filter(count__gte=limit, locked_until=None).update(locked_until=now + settings.LOGON_LOCKOUT)


def succeeded(limits: dict[str, int]) -> None:
    """Forget the failures of the user name. Failures of the address stay: one good password excuses no guessing."""
    LogonFailures.objects.filter(key__in=[key for key in limits if key.startswith("name:")]).delete()


def forget_old() -> int:
    """Drop rows that count for nothing any more, and return how many; the worker calls this."""
    now = timezone.now()
    over = Q(first_at__lte=now - settings.LOGON_LOCKOUT) & (Q(locked_until=None) | Q(locked_until__lte=now))
    return LogonFailures.objects.filter(over).delete()[0]
