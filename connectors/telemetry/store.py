"""Store of samples, the only door to them, so that another engine can take its place.

Times are aware datetimes. Rates are in bit/s; where nothing was measured there is no value, never a 0. A series has
points of any ``width`` in seconds: multiples of 3600 are read from the hours (kept for 2 years), others of 300 from the
five minutes (90 days), and all others from raw samples (48 hours).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import models
from django.utils import timezone

from connectors.fleet import pace
from connectors.fleet.models.connectors import Server
from connectors.telemetry import reading, rollups, writing
from connectors.telemetry.models import Latest, Sample
from connectors.telemetry.sql import FIVE_MINUTES, HOUR
from connectors.telemetry.writing import Written

__all__ = ["FIVE_MINUTES", "HOUR", "oldest_accepted", "prune", "raw_horizon", "roll_up", "series", "write"]

# Time for which the newest sample says what is happening now.
FRESH = timedelta(seconds=45)
roll_up = rollups.roll_up
prune = rollups.prune
oldest_accepted = writing.oldest_accepted
raw_horizon = writing.raw_horizon


@dataclass(frozen=True)
class Series:
    """Rates in bit/s per bucket of ``width`` seconds; ``times`` are the buckets' beginnings, None where unmeasured.

    The peaks are the highest rates of single samples. Of several servers they are the sum of each one's highest, which
    need not have been at the same moment: what flowed at once was at most that.
    """

    width: int
    times: list[datetime]
    receive: list[float | None]
    send: list[float | None]
    receive_peak: list[float | None]
    send_peak: list[float | None]


@dataclass(frozen=True)
class Gauge:
    """Average and highest value per bucket."""

    average: list[float | None]
    peak: list[float | None]


@dataclass(frozen=True)
class ServerSeries(Series):
    """Series of one server with its gauges, in percent; latency in milliseconds."""

    cpu: Gauge
    memory: Gauge
    latency: Gauge
    loss: Gauge


@dataclass(frozen=True)
class Rate:
    """Rates received and sent in bit/s, and when they were measured."""

    receive: float
    send: float
    time: datetime


def write(samples: Iterable[Sample], now: datetime | None = None) -> Written:
    """Store samples in one transaction, and leave what is there as it is."""
    return writing.write(samples, now or timezone.now())


def fresh_within() -> timedelta:
    """Return how long a sample is fresh: some of the servers' intervals, but at least ``FRESH``."""
    return max(FRESH, timedelta(seconds=2.5 * pace.interval()))


def rate(row: Latest) -> Rate:
    """Return the rate of a newest sample; one shorter than a second counts as a second, as in the peaks."""
    seconds = max(row.seconds, 1)
    return Rate(row.rx_bytes * 8 / seconds, row.tx_bytes * 8 / seconds, row.time)


def latest(servers: Iterable[str], now: datetime | None = None) -> dict[str, Latest]:
    """Map each server (id) whose newest sample is fresh to that sample, with ways and destinations. Run one query."""
    return {row.server_id: row for row in _fresh(now).filter(server__in=list(servers))}


def latest_of(server: Server, now: datetime | None = None) -> Latest | None:
    """Return a server's newest sample while fresh; no query for one read with ``select_related("latest")``."""
    row: Latest | None = getattr(server, "latest", None)
    return row if row is not None and row.time >= (now or timezone.now()) - fresh_within() else None


def rate_of(server: Server, now: datetime | None = None) -> Rate | None:
    """Return the rate of a server's newest sample while that is fresh; see ``latest_of``."""
    row = latest_of(server, now)
    return None if row is None else rate(row)


def current(servers: Iterable[str], now: datetime | None = None) -> dict[str, Rate]:
    """Map each server (id) whose newest sample is fresh to the sample's rate. Run one query."""
    return {server: rate(row) for server, row in latest(servers, now).items()}


def current_of_connectors(connectors: Iterable[str], now: datetime | None = None) -> dict[str, Rate]:
    """Map each connector (id) to the sum of its servers' fresh rates, if there is any. Run one query."""
    rows = (
        _fresh(now)
        .filter(server__connector__in=list(connectors))
        .annotate(of=models.F("server__connector_id"))
    )
    found: dict[str, list[Rate]] = defaultdict(list)
    for row in rows.defer("paths", "destinations"):
        found[row.of].append(rate(row))
    return {connector: _total(rates) for connector, rates in found.items()}


def _fresh(now: datetime | None) -> models.QuerySet[Latest]:
    return Latest.objects.filter(time__gte=(now or timezone.now()) - fresh_within())


def _total(rates: Sequence[Rate]) -> Rate:
    return Rate(sum(r.receive for r in rates), sum(r.send for r in rates), max(r.time for r in rates))


def series(servers: Sequence[str] | None, *, start: datetime, end: datetime, width: int) -> Series:
    """Return the rates of ``servers`` (None: all) together, from ``start`` to ``end`` in buckets of ``width`` seconds.

    A sample's bytes are shared among the buckets that its interval touches, so that the area under the curve is the
    bytes that flowed. Per server and bucket the rate is over the measured part; servers are then added up.
    """
    buckets = _buckets(start, end, width)
    found = reading.totals(servers, buckets.start, buckets.stop, width)
    nothing: list[float | None] = [None] * 4
    columns = zip(*(found.get(bucket, nothing) for bucket in buckets), strict=True)
    return Series(width, _times(buckets, width), *(list(column) for column in columns))


def empty(*, start: datetime, end: datetime, width: int) -> Series:
    """Return a series in which nothing was measured."""
    buckets = _buckets(start, end, width)
    nothing: list[float | None] = [None] * len(buckets)
    return Series(width, _times(buckets, width), nothing, nothing, nothing, nothing)


def highest(servers: Sequence[str]) -> float:
    """Return the highest rate, either way, of the servers together in bit/s; 0 when nothing was measured.

    Peaks of several servers are added up hour by hour, which is an upper bound. Hours not yet rolled up are left out.
    """
    return reading.highest(servers)


def per_server(
    servers: Sequence[str] | None, *, start: datetime, end: datetime, width: int
) -> dict[str, ServerSeries]:
    """Map each server (id) that measured anything in the time to its series; see ``series``."""
    buckets = _buckets(start, end, width)
    rows: dict[str, dict[int, list[float | None]]] = defaultdict(dict)
    for (server, bucket), row in reading.by_server(servers, buckets.start, buckets.stop, width).items():
        rows[server][bucket] = _values(row)
    times, nothing = _times(buckets, width), [None] * 12
    found = {}
    for server, measured in rows.items():
        columns = [list(column) for column in zip(*(measured.get(b, nothing) for b in buckets), strict=True)]
        receive, send, receive_peak, send_peak = columns[:4]
        gauges = [Gauge(*columns[place : place + 2]) for place in range(4, 12, 2)]
        found[server] = ServerSeries(width, times, receive, send, receive_peak, send_peak, *gauges)
    return found


def _values(row: Sequence[float | None]) -> list[float | None]:
    """Turn ``reading.COLUMNS`` into rates, their peaks, and average and peak of each gauge."""
    seconds, rx, tx, rx_peak, tx_peak, *gauges = row
    values = [(rx or 0) * 8 / (seconds or 1), (tx or 0) * 8 / (seconds or 1), rx_peak, tx_peak]
    for total, count, peak in zip(gauges[::3], gauges[1::3], gauges[2::3], strict=True):
        values += [total / count, peak] if count and total is not None else [None, None]
    return values


def _buckets(start: datetime, end: datetime, width: int) -> range:
    """Number the buckets from ``start`` to ``end``; there is at least one."""
    first, last = int(start.timestamp() // width), int(-(-end.timestamp() // width))
    return range(first, max(last, first + 1))


def _times(buckets: range, width: int) -> list[datetime]:
    return [datetime.fromtimestamp(bucket * width, UTC) for bucket in buckets]
