"""Which time a chart shows, and how wide its points are. In the URL: ``range=24h``, or ``from`` and ``to`` (UTC)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

CUSTOM = "custom"
# Sums of an hour, of whatever is measured and counted, are kept this long.
KEPT = timedelta(days=730)
# Wider points than these change seldom.
FINE = 300

# Seconds that a point is wide, of a time from start to end, seen from now.
Width = Callable[[datetime, datetime, datetime], int]


@dataclass(frozen=True)
class Range:
    """A span that ends now."""

    name: str
    label: str
    span: timedelta


def ranges(*hours: int) -> dict[str, Range]:
    """By name, the first being the usual one: up to a day in hours, longer ones in days."""
    found = {}
    for each in hours:
        number, unit = (each, "hour") if each <= 24 else (each // 24, "day")
        name = f"{number}{unit[0]}"
        found[name] = Range(name, f"{number} {unit}{'s' if number != 1 else ''}", timedelta(hours=each))
    return found


@dataclass(frozen=True)
class Window:
    """``name``: a range's, or ``custom``. ``problem``: why the wanted one is not shown, a sentence.

    ``asked``: what was typed in for its beginning and end then, to be put right.
    """

    name: str
    label: str
    start: datetime
    end: datetime
    width: int
    problem: str = ""
    asked: tuple[str, str] = ("", "")

    @property
    def custom(self) -> bool:
        return self.name == CUSTOM

    @property
    def query(self) -> str:
        """What stands for it in a URL."""
        if not self.custom:
            return urlencode({"range": self.name})
        return urlencode({"from": _text(self.start), "to": _text(self.end)})

    @property
    def every(self) -> int:
        """Seconds between two looks; 0 when nothing new can come."""
        if self.custom:
            return 0
        return 10 if self.width <= FINE else 60

    @property
    def point(self) -> str:
        """How long a point is, in words."""
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
    """What a request asks for. What makes no sense gives the range of the name, or the first one, and says why."""
    now = now or timezone.now()
    chosen = ranges.get(query.get("range", ""), next(iter(ranges.values())))
    problem = ""
    if query.get("from") or query.get("to"):
        try:
            start, end = _custom(query, now)
        except ValueError as error:
            problem = str(error)
        else:
            return Window(CUSTOM, "chosen time", start, end, width(start, end, now))
    start = now - chosen.span
    asked = (query.get("from", ""), query.get("to", ""))
    return Window(chosen.name, chosen.label, start, now, width(start, now, now), problem, asked)


def _custom(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    start, end = (_moment(query.get(name, ""), label) for name, label in (("from", "From"), ("to", "To")))
    end = min(end, now)
    if start >= end:
        raise ValueError("From must be earlier than To, and earlier than now.")
    if start < now - KEPT:
        raise ValueError("From must be within the last 2 years: measurements are kept that long.")
    return start, end


def _moment(text: str, label: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or not 1980 < moment.year < 9999:
        raise ValueError(f"{label} must be a date and time such as 2026-11-20T08:00.")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
