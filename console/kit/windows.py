"""Times that charts show, and how wide their points are. In a URL: ``range=24h``, or ``from`` and ``to``.

``from`` and ``to`` are UTC, unless a distance to UTC stands in them or ``zone`` names the zone of both, as forms do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console.core import zones

CUSTOM = "custom"
# Age at which the sums of an hour are deleted, of whatever is measured and counted.
KEPT = timedelta(days=730)
# Seconds of the widest points that change often; a chart of wider ones is refreshed less.
FINE = 300

# Function from (start, end, now) to the seconds that a point is wide.
Width = Callable[[datetime, datetime, datetime], int]


@dataclass(frozen=True)
class Range:
    """A span that ends now."""

    name: str
    label: str
    span: timedelta


def ranges(*hours: int) -> dict[str, Range]:
    """Make ranges by name, the first being the usual one: up to a day in hours, longer ones in days."""
    found = {}
    for each in hours:
        number, unit = (each, "hour") if each <= 24 else (each // 24, "day")
        name = f"{number}{unit[0]}"
        found[name] = Range(name, f"{number} {unit}{'s' if number != 1 else ''}", timedelta(hours=each))
    return found


@dataclass(frozen=True)
class Window:
    """The time that a chart shows. ``name``: a range's, or ``custom``.

    ``problem``: why the wanted time is not shown, a sentence; ``asked``: the beginning and end typed in then, to be put
    right. ``note``: what a time was taken for that could mean two moments.
    """

    name: str
    label: str
    start: datetime
    end: datetime
    width: int
    problem: str = ""
    asked: tuple[str, str] = ("", "")
    note: str = ""

    @property
    def custom(self) -> bool:
        return self.name == CUSTOM

    @property
    def query(self) -> str:
        """Query string that stands for the window in a URL."""
        if not self.custom:
            return urlencode({"range": self.name})
        return urlencode({"from": _utc(self.start), "to": _utc(self.end)})

    @property
    def every(self) -> int:
        """Seconds between two looks; 0 when nothing new can come."""
        if self.custom:
            return 0
        return 10 if self.width <= FINE else 60

    @property
    def point(self) -> str:
        """Width of a point in words."""
        for seconds, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
            if self.width % seconds == 0:
                number = self.width // seconds
                return f"{number} {unit}{'s' if number != 1 else ''}"
        raise AssertionError(self.width)

    @property
    def start_text(self) -> str:
        return self.asked[0] if self.problem else _text(self.start)

    @property
    def end_text(self) -> str:
        return self.asked[1] if self.problem else _text(self.end)


def window(
    query: Mapping[str, str], ranges: Mapping[str, Range], width: Width, now: datetime | None = None
) -> Window:
    """Read the window that a request asks for; nonsense gives the range of the name, or the first one, and says why."""
    now = now or timezone.now()
    chosen = ranges.get(query.get("range", ""), next(iter(ranges.values())))
    problem = ""
    if query.get("from") or query.get("to"):
        try:
            start, end = _custom(query, now)
        except ValueError as error:
            problem = str(error)
        else:
            note = _note(query)
            return Window(CUSTOM, "chosen time", start, end, width(start, end, now), note=note)
    start = now - chosen.span
    asked = (query.get("from", ""), query.get("to", ""))
    return Window(chosen.name, chosen.label, start, now, width(start, now, now), problem, asked)


def _custom(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    zone = zone_of(query)
    start = moment(query.get("from", ""), "From", zone)
    end = min(moment(query.get("to", ""), "To", zone, last=True), now)
    if start >= end:
        raise ValueError("From must be earlier than To, and earlier than now.")
    if start < now - KEPT:
        raise ValueError("From must be within the last 2 years: measurements are kept that long.")
    return start, end


def zone_of(query: Mapping[str, str]) -> tzinfo:
    """Return the zone of a form's times; UTC for a query string that names none, or one that nobody knows."""
    return zones.named(query.get("zone", "")) or UTC


def moment(text: str, label: str, zone: tzinfo = UTC, *, last: bool = False) -> datetime:
    """Read a moment of a form, of ``zone`` unless a distance to UTC stands in the text.

    Of a time that comes twice the first is meant, or with ``last`` the second. Raises ``ValueError`` with a sentence.
    """
    read = _read(text)
    if read is None or not 1980 < read.year < 9999:
        raise ValueError(f"{label} must be a date and time such as 2026-11-20T08:00.")
    return zones.moment(read, label, zone, last=last) if read.tzinfo is None else read.astimezone(UTC)


def _read(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _note(query: Mapping[str, str]) -> str:
    """Say what was taken for a time that comes twice; empty when none does."""
    zone, sentences = zone_of(query), []
    for name, which in (("from", "From is the first"), ("to", "To is the second")):
        read = _read(query.get(name, ""))
        if read is not None and read.tzinfo is None and zones.comes_twice(read, zone):
            sentences.append(f"{read:%Y-%m-%d %H:%M} comes twice in {zone}: {which}.")
    return " ".join(sentences)


def _text(at: datetime) -> str:
    """Write a moment for a form's field, in the person's zone."""
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M")


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
