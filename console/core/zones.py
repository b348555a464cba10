"""Time zones: in which one a person reads and types times, and what a time on the clock means there.

A person's own setting stands in the user's row. Without a setting the browser's zone holds, which zone.js tells by a
cookie; before the cookie is there, UTC holds, and pages say so.
"""

import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from console.core.models.access import User

COOKIE = "time-zone"
LONGEST = 64
# Families of names that are no places where people live, and would only fill the list.
NOT_OFFERED = ("Etc/", "SystemV/", "US/", "posix/", "right/")
SENTENCE = "Time zone must be one of the list, such as Europe/Berlin, or empty for the browser's."
# Longest time that clocks were ever set by: islands that crossed the date line left out a day.
FARTHEST = timedelta(days=2)


@cache
def named(name: str) -> ZoneInfo | None:
    """Return the zone of a name; None for a name that this system does not know."""
    if not 0 < len(name) <= LONGEST or name not in zoneinfo.available_timezones():
        return None
    return ZoneInfo(name)


@cache
def offered() -> tuple[str, ...]:
    """Return the names to choose from, UTC first."""
    places = (name for name in zoneinfo.available_timezones() if "/" in name)
    return ("UTC", *sorted(name for name in places if not name.startswith(NOT_OFFERED)))


def of_request(request: HttpRequest) -> ZoneInfo:
    """Return the zone in which a request's person reads times: the setting, else the browser's, else UTC."""
    user = request.user
    chosen = user.time_zone if isinstance(user, User) else ""
    return named(chosen) or named(request.COOKIES.get(COOKIE, "")) or ZoneInfo("UTC")


class ZoneMiddleware:
    """Middleware that has pages written, and forms read, in the person's zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, *view: object) -> None:
        # Calls of machines know no person, and asking for one would cost a query.
        if request.resolver_match is None or request.resolver_match.namespace != "edge":
            timezone.activate(of_request(request))


# --- Times of a form --------------------------------------------------------------------------------------------------


def moment(local: datetime, label: str, zone: tzinfo, *, last: bool = False) -> datetime:
    """Return the moment at which clocks of a zone show a time. Raises ``ValueError`` for a time that they leave out.

    Of a time that comes twice, since clocks go back, the first is meant, or with ``last`` the second.
    """
    placed = local.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
    if placed.astimezone(zone).replace(tzinfo=None) != local:
        before, after = _change_near(local, zone)
        raise ValueError(
            f"{label} must be a time that there is: on {local:%Y-%m-%d} in {zone} clocks go forward from "
            f"{before:%H:%M} to {after:%H:%M}."
        )
    return placed


def comes_twice(local: datetime, zone: tzinfo) -> bool:
    """Tell whether clocks of a zone show a time twice."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first < second


def written(at: datetime) -> str:
    """Write a moment as clocks of the person's zone show it; one that comes twice with its distance to UTC."""
    local = timezone.localtime(at)
    text = f"{local:%Y-%m-%d %H:%M:%S}"
    if str(local.tzinfo) == "UTC":
        return f"{text} UTC"
    return f"{text} {distance(local)}" if comes_twice(local.replace(tzinfo=None), zone_here()) else text


def zone_here() -> tzinfo:
    """Return the zone in which the person of this request reads times."""
    return timezone.get_current_timezone()


def distance(local: datetime) -> str:
    """Write how far a zone is from UTC at a moment: ``UTC+05:30``."""
    offset = local.utcoffset() or timedelta(0)
    minutes = round(abs(offset).total_seconds() / 60)
    return f"UTC{'-' if offset < timedelta(0) else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _change_near(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Find the change of clocks that leaves a time out; return what they show just before and after."""
    middle = local.replace(tzinfo=UTC)
    low, high = middle - FARTHEST, middle + FARTHEST
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        half = low + (high - low) / 2
        low, high = (half, high) if half.astimezone(zone).utcoffset() == before else (low, half)
    at = (high + timedelta(milliseconds=500)).replace(microsecond=0)
    return at.replace(tzinfo=None) + (before or timedelta(0)), at.astimezone(zone).replace(tzinfo=None)


# --- Times of day that hold every day, stored in UTC ------------------------------------------------------------------


def clock_here(utc: time) -> time:
    """Return a time of day (UTC) as the person's clock shows it today."""
    return _moved(utc, timezone.localtime().utcoffset() or timedelta(0))


def clock_in_utc(local: time) -> time:
    """Return a time of day of the person's clock in UTC, by the distance of today."""
    return _moved(local, -(timezone.localtime().utcoffset() or timedelta(0)))


def _moved(clock: time, by: timedelta) -> time:
    return (datetime.combine(date(2000, 1, 3), clock) + by).time()


def clock_words() -> str:
    """Say by which clock times of day are written: ``UTC``, or ``Europe/Berlin, today UTC+01:00``."""
    name = str(zone_here())
    return name if name == "UTC" else f"{name}, today {distance(timezone.localtime())}"
