"""What an instance or an account moved over time, and how many connections it had open (facts A.9)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour, TruncMinute
from django.utils import timezone

from console import charts
from console.errors import Invalid
from console.models.machines import SILENT_AFTER
from roaming.models import ClientAccount, Flow, Instance, Usage
from roaming.services import usage

Kind = Literal["instance", "account"]
OWNERS: dict[Kind, type[Instance] | type[ClientAccount]] = {"instance": Instance, "account": ClientAccount}
# Name → label and hours.
RANGES = {
    "1h": ("1 hour", 1),
    "3h": ("3 hours", 3),
    "6h": ("6 hours", 6),
    "12h": ("12 hours", 12),
    "24h": ("24 hours", 24),
    "7d": ("7 days", 7 * 24),
    "30d": ("30 days", 30 * 24),
}
DEFAULT = "1h"
CUSTOM = "custom"
LONGEST = timedelta(days=730)
# More points than this a chart cannot show apart.
MOST_POINTS = 360
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Range:
    """From ``start`` to ``end`` in points of ``width`` seconds, read from buckets of ``span``."""

    name: str
    start: datetime
    end: datetime
    width: int
    span: str

    @property
    def label(self) -> str:
        return f"Last {RANGES[self.name][0]}" if self.name in RANGES else "Chosen time"

    @property
    def point(self) -> str:
        """How long a point is, in words."""
        number, unit = (
            (self.width // HOUR, "hour") if self.width % HOUR == 0 else (self.width // MINUTE, "minute")
        )
        return f"{number} {unit}{'s' if number != 1 else ''}"

    @property
    def query(self) -> str:
        if self.name != CUSTOM:
            return f"?range={self.name}"
        return f"?range={CUSTOM}&from={self.start:%Y-%m-%dT%H:%M}&to={self.end:%Y-%m-%dT%H:%M}"


def range_of(asked: Mapping[str, str], now: datetime | None = None) -> Range:
    """The range that a query string asks for: ``range`` is one of ``RANGES``, or custom with ``from`` and ``to`` (UTC).

    An unknown name means the last hour. Raises ``Invalid`` for a custom range that makes no sense.
    """
    now = now or timezone.now()
    name = asked.get("range", "")
    if name == CUSTOM:
        return _range(CUSTOM, _moment(asked, "from"), _moment(asked, "to"), now)
    name = name if name in RANGES else DEFAULT
    return _range(name, now - timedelta(hours=RANGES[name][1]), now, now)


def _moment(asked: Mapping[str, str], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(asked.get(name, ""))
    except ValueError as error:
        raise Invalid(
            f"“{name.capitalize()}” must be a date and time, such as 2026-07-15T12:30.", field=name
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _range(name: str, start: datetime, end: datetime, now: datetime) -> Range:
    end = min(end, now)
    if start < now - LONGEST:
        raise Invalid("“From” must not be older than two years.", field="from")
    if end - start < timedelta(minutes=1):
        raise Invalid("“From” must be at least a minute before “To”, and not in the future.", field="from")
    fine = start >= now - usage.KEEP[Usage.Span.MINUTE]
    unit = MINUTE if fine else HOUR
    width = unit * max(1, round(-(-(end - start).total_seconds() // (unit * MOST_POINTS))))
    first = int(start.timestamp() // width) * width
    return Range(
        name, datetime.fromtimestamp(first, UTC), end, width, Usage.Span.MINUTE if fine else Usage.Span.HOUR
    )


@dataclass(frozen=True)
class Series:
    """Per point: bit/s that clients received and sent, and connections open at its end; None before there was anybody.

    Bytes of the whole range.
    """

    times: list[datetime]
    receive: list[float | None]
    send: list[float | None]
    connections: list[float | None]
    received_bytes: int
    sent_bytes: int


def series(kind: Kind, key: str, chosen: Range) -> Series:
    """Six queries, whatever the range."""
    first, last = int(chosen.start.timestamp()), chosen.end.timestamp()
    count = int(-(-(last - first) // chosen.width))
    up, down = [0] * count, [0] * count
    for time, (sent, received) in usage.of(key, chosen.span, chosen.start, chosen.end).items():
        place = int(time.timestamp() - first) // chosen.width
        up[place] += sent
        down[place] += received
    # The last point is not over yet: its rate is over the part that is.
    seconds = [min(chosen.width, max(1.0, last - first - place * chosen.width)) for place in range(count)]
    connections = _connections(Flow.objects.filter(**{kind: key}).order_by(), chosen, count)
    begun = OWNERS[kind].objects.filter(pk=key).values_list("created_at", flat=True).first()
    unborn = max(0, int(begun.timestamp() - first) // chosen.width) if begun else 0
    return Series(
        times=[datetime.fromtimestamp(first + place * chosen.width, UTC) for place in range(count)],
        receive=_since(unborn, [bytes_ * 8 / part for bytes_, part in zip(down, seconds, strict=True)]),
        send=_since(unborn, [bytes_ * 8 / part for bytes_, part in zip(up, seconds, strict=True)]),
        connections=_since(unborn, connections),
        received_bytes=sum(down),
        sent_bytes=sum(up),
    )


def _since(unborn: int, values: list[float]) -> list[float | None]:
    """The first so many are gaps."""
    return [None if place < unborn else value for place, value in enumerate(values)]


COLUMNS = ("time_utc", "receive_bit_s", "send_bit_s", "connections")


def table(found: Series) -> Iterator[list[str]]:
    """``COLUMNS`` of each point."""
    return charts.table(found.times, [found.receive, found.send, found.connections])


def open_now(kind: Kind, key: str) -> int:
    """Connections open at this moment; those of gateways that are silent are not known to be."""
    return _known(Flow.objects.filter(**{kind: key})).filter(ended_at=None).count()


def _known(flows: QuerySet[Flow]) -> QuerySet[Flow]:
    heard = Q(gateway__heard_at__gt=timezone.now() - SILENT_AFTER)
    return flows.filter(heard | Q(ended_at__isnull=False))


def _connections(flows: QuerySet[Flow], chosen: Range, count: int) -> list[float]:
    """Connections open at the end of each point: those at the beginning, plus what began, minus what ended."""
    flows = _known(flows)
    before = flows.filter(started_at__lt=chosen.start)
    ended = before.filter(ended_at__gte=chosen.start).count()
    now_open = before.filter(ended_at=None).count() + ended
    change = [0] * count
    for name, sign in (("started_at", 1), ("ended_at", -1)):
        within = flows.filter(**{f"{name}__gte": chosen.start, f"{name}__lt": chosen.end})
        trunc = TruncMinute if chosen.span == Usage.Span.MINUTE else TruncHour
        for time, number in within.annotate(at=trunc(name)).values_list("at").annotate(Count("pk")):
            place = int(time.timestamp() - chosen.start.timestamp()) // chosen.width
            change[place] += sign * number
    found: list[float] = []
    for step in change:
        now_open += step
        found.append(now_open)
    return found
