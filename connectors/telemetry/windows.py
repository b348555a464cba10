"""Which time a chart shows, and how wide its points are. In the URL: ``range=24h``, or ``from`` and ``to``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from connectors.telemetry import store
from connectors.telemetry.sql import FIVE_MINUTES, HOUR
from connectors.telemetry.writing import FIVE_MINUTES_KEPT, HOURS_KEPT, MARGIN

# Widths of points, in seconds; the shortest is longer than a sample, so that each point has one.
WIDTHS = (15, 60, FIVE_MINUTES, 1800, HOUR, 2 * HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR)
MOST_POINTS = 400


@dataclass(frozen=True)
class Range:
    """A span that ends now."""

    name: str
    label: str
    span: timedelta


RANGES = {
    item.name: item
    for item in (
        Range("1h", "1 hour", timedelta(hours=1)),
        Range("6h", "6 hours", timedelta(hours=6)),
        Range("24h", "24 hours", timedelta(hours=24)),
        Range("7d", "7 days", timedelta(days=7)),
        Range("30d", "30 days", timedelta(days=30)),
    )
}
DEFAULT = RANGES["1h"]
CUSTOM = "custom"


@dataclass(frozen=True)
class Window:
    """``name``: a range's, or ``custom``. ``problem``: why the wanted one is not shown, a sentence."""

    name: str
    label: str
    start: datetime
    end: datetime
    width: int
    problem: str = ""

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
        return 10 if self.width <= FIVE_MINUTES else 60

    @property
    def point(self) -> str:
        """How long a point is, in words."""
        for seconds, unit in ((86400, "day"), (HOUR, "hour"), (60, "minute"), (1, "second")):
            if self.width % seconds == 0:
                number = self.width // seconds
                return f"{number} {unit}{'s' if number != 1 else ''}"
        raise AssertionError(self.width)

    @property
    def start_text(self) -> str:
        return _text(self.start)

    @property
    def end_text(self) -> str:
        return _text(self.end)


def window(query: Mapping[str, str], now: datetime | None = None) -> Window:
    """What a request asks for. What makes no sense gives the range of the name, or an hour, and says why."""
    now = now or timezone.now()
    chosen = RANGES.get(query.get("range", ""), DEFAULT)
    problem = ""
    if query.get("from") or query.get("to"):
        try:
            start, end = _custom(query, now)
        except ValueError as error:
            problem = str(error)
        else:
            return Window(CUSTOM, "chosen time", start, end, _width(start, end, now))
    start = now - chosen.span
    return Window(chosen.name, chosen.label, start, now, _width(start, now, now), problem)


def _custom(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    start, end = (_moment(query.get(name, ""), label) for name, label in (("from", "From"), ("to", "To")))
    end = min(end, now)
    if start >= end:
        raise ValueError("From must be earlier than To, and earlier than now.")
    if start < now - HOURS_KEPT:
        raise ValueError("From must be within the last 2 years: measurements are kept that long.")
    return start, end


def _moment(text: str, label: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(f"{label} must be a date and time such as 2026-11-20T08:00.")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if not 1980 < moment.year < 9999:
        raise ValueError(f"{label} must be a date and time such as 2026-11-20T08:00.")
    return moment.astimezone(UTC)


def _width(start: datetime, end: datetime, now: datetime) -> int:
    """The finest that is kept for the whole time and gives no more points than a chart can show."""
    least = 0
    if start < store.raw_horizon(now):
        least = FIVE_MINUTES
    if start < now - FIVE_MINUTES_KEPT + MARGIN:
        least = HOUR
    span = (end - start).total_seconds()
    return next(
        width for width in WIDTHS if width >= least and (span / width <= MOST_POINTS or width == WIDTHS[-1])
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
