"""Rates, bytes and open connections of an instance or an account over time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour, TruncMinute
from django.utils import timezone

from console.kit import charts, windows
from console.kit.windows import Window
from console.machines.models.machines import SILENT_AFTER
from roaming.accounts.models import ClientAccount
from roaming.instances.models import Instance
from roaming.usage import buckets as usage
from roaming.usage.models.flows import Flow
from roaming.usage.models.usage import Usage

Kind = Literal["instance", "account"]
OWNERS: dict[Kind, type[Instance] | type[ClientAccount]] = {"instance": Instance, "account": ClientAccount}
RANGES = windows.ranges(1, 3, 6, 12, 24, 7 * 24, 30 * 24)
# A chart cannot show more points than this apart.
MOST_POINTS = 360
MINUTE, HOUR = 60, 3600


def window(query: Mapping[str, str], now: datetime | None = None) -> Window:
    """Return the window that the query string asks for (``console.kit.windows``)."""
    return windows.window(query, RANGES, _width, now)


def _width(start: datetime, end: datetime, now: datetime) -> int:
    unit = MINUTE if start >= now - usage.KEEP[Usage.Span.MINUTE] else HOUR
    return unit * max(1, math.ceil((end - start).total_seconds() / (unit * MOST_POINTS)))


def _span(chosen: Window) -> Usage.Span:
    """Choose the buckets that the window's points are made of: minutes, kept for some days only, for short points."""
    return Usage.Span.MINUTE if chosen.width < HOUR else Usage.Span.HOUR


@dataclass(frozen=True)
class Series:
    """Points of a window: bit/s that clients received and sent, and connections open at each point's end.

    None: the point lies before its instance or account was made. Bytes are of the whole range.
    """

    times: list[datetime]
    receive: list[float | None]
    send: list[float | None]
    connections: list[float | None]
    received_bytes: int
    sent_bytes: int


def series(kind: Kind, key: str, chosen: Window) -> Series:
    """Return the points of a window, by six queries, whatever the range."""
    first, last = int(chosen.start.timestamp()) // chosen.width * chosen.width, chosen.end.timestamp()
    chosen = replace(chosen, start=datetime.fromtimestamp(first, UTC))
    count = int(-(-(last - first) // chosen.width))
    up, down = [0] * count, [0] * count
    for time, (sent, received) in usage.of(key, _span(chosen), chosen.start, chosen.end).items():
        place = int(time.timestamp() - first) // chosen.width
        up[place] += sent
        down[place] += received
    # The last point is not over yet: its rate is over the part that has passed.
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
    """Replace the first ``unborn`` values by gaps."""
    return [None if place < unborn else value for place, value in enumerate(values)]


COLUMNS = ("time_utc", "receive_bit_s", "send_bit_s", "connections")


def table(found: Series) -> Iterator[list[Any]]:
    """Yield the ``COLUMNS`` of each point."""
    return charts.table(found.times, [found.receive, found.send, found.connections])


def open_now(kind: Kind, key: str) -> int:
    """Count the connections open at this moment, without those of silent gateways, which may have ended."""
    return _known(Flow.objects.filter(**{kind: key})).filter(ended_at=None).count()


def _known(flows: QuerySet[Flow]) -> QuerySet[Flow]:
    heard = Q(gateway__heard_at__gt=timezone.now() - SILENT_AFTER)
    return flows.filter(heard | Q(ended_at__isnull=False))


def _connections(flows: QuerySet[Flow], chosen: Window, count: int) -> list[float]:
    """Count the connections open at the end of each point: open at the beginning, plus begun, minus ended."""
    flows = _known(flows)
    before = flows.filter(started_at__lt=chosen.start)
    ended = before.filter(ended_at__gte=chosen.start).count()
    now_open = before.filter(ended_at=None).count() + ended
    change = [0] * count
    for name, sign in (("started_at", 1), ("ended_at", -1)):
        within = flows.filter(**{f"{name}__gte": chosen.start, f"{name}__lt": chosen.end})
        trunc = TruncMinute if _span(chosen) == Usage.Span.MINUTE else TruncHour
        for time, number in within.annotate(at=trunc(name)).values_list("at").annotate(Count("pk")):
            place = int(time.timestamp() - chosen.start.timestamp()) // chosen.width
            change[place] += sign * number
    found: list[float] = []
    for step in change:
        now_open += step
        found.append(now_open)
    return found
