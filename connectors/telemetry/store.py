"""The only door to samples, so that another engine can take its place.

Times are aware datetimes. A rate is in bit/s; where nothing was measured there is no value, never a 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Case, F, FloatField, Sum, Value, When
from django.db.models.functions import Cast, Floor
from django.utils import timezone

from connectors.models import Sample

LONGEST_SAMPLE = 3600.0
# What rounding leaves of a sample beyond a bucket's edge is no measurement of that bucket.
SLIVER = 0.05
# The newest sample says what is happening now only while it is new.
FRESH = timedelta(seconds=45)
MEASURED = ("time", "seconds", "rx_bytes", "tx_bytes")


class Epoch(models.Func):
    """Seconds since 1970 with their fraction, on both databases."""

    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "((julianday(%(expressions)s) - 2440587.5) * 86400.0)"
        return super().as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "EXTRACT(EPOCH FROM %(expressions)s)::double precision"
        return super().as_sql(compiler, connection, template=template, **extra)


@dataclass(frozen=True)
class Series:
    """Rates in bit/s per bucket of ``width`` seconds; ``times`` are the buckets' beginnings, None where unmeasured."""

    width: int
    times: list[datetime]
    receive: list[float | None]
    send: list[float | None]


@dataclass(frozen=True)
class Rate:
    """Bit/s received and sent, and when that was."""

    receive: float
    send: float
    time: datetime


def write(samples: Iterable[Sample]) -> None:
    """Store samples within the caller's transaction; one that is there already is left as it is."""
    Sample.objects.bulk_create(samples, ignore_conflicts=True)


def prune(now: datetime | None = None) -> int:
    """Delete raw samples past their retention; returns how many."""
    before = (now or timezone.now()) - settings.RAW_SAMPLE_RETENTION
    return Sample.objects.filter(time__lt=before).delete()[0]


def current(servers: Iterable[str], now: datetime | None = None) -> dict[str, Rate]:
    """Server id → the rate of its newest sample, left out when that is not fresh. One query."""
    rows = _fresh(now).filter(server__in=list(servers)).values_list("server_id", *MEASURED)
    return {server: _rate(*measured) for server, *measured in rows}


def current_of_connectors(connectors: Iterable[str], now: datetime | None = None) -> dict[str, Rate]:
    """Connector id → the sum of its servers' fresh rates, left out when none has one. One query."""
    rows = _fresh(now).filter(server__connector__in=list(connectors))
    newest: dict[str, dict[str, Rate]] = defaultdict(dict)
    for connector, server, *measured in rows.values_list("server__connector_id", "server_id", *MEASURED):
        newest[connector][server] = _rate(*measured)
    return {connector: _total(rates.values()) for connector, rates in newest.items()}


def _fresh(now: datetime | None) -> models.QuerySet[Sample]:
    """Ascending, so that of each server the newest is read last."""
    return Sample.objects.filter(time__gte=(now or timezone.now()) - FRESH).order_by("time")


def _rate(time: datetime, seconds: float, rx: int, tx: int) -> Rate:
    return Rate(rx * 8 / seconds, tx * 8 / seconds, time)


def _total(rates: Iterable[Rate]) -> Rate:
    found = list(rates)
    return Rate(sum(r.receive for r in found), sum(r.send for r in found), max(r.time for r in found))


def series(servers: Sequence[str], *, start: datetime, end: datetime, width: int) -> Series:
    """The rates of ``servers`` together from ``start`` to ``end`` in buckets of ``width`` seconds.

    A sample's bytes are shared among the buckets that its interval touches, so that the area under the curve is the
    bytes that flowed. Per server and bucket the rate is over the measured part; servers are then added up.
    """
    first, last = int(start.timestamp() // width), int(-(-end.timestamp() // width))
    sums = _bucket_sums(servers, first * width, last * width, width)
    receive: dict[int, float] = defaultdict(float)
    send: dict[int, float] = defaultdict(float)
    for (_, bucket), (seconds, rx, tx) in sums.items():
        if seconds > SLIVER:
            receive[bucket] += rx * 8 / seconds
            send[bucket] += tx * 8 / seconds
    buckets = range(first, last)
    return Series(
        width=width,
        times=[datetime.fromtimestamp(bucket * width, UTC) for bucket in buckets],
        receive=[receive.get(bucket) for bucket in buckets],
        send=[send.get(bucket) for bucket in buckets],
    )


Sums = dict[tuple[str, int], list[float]]


def _bucket_sums(servers: Sequence[str], start: float, end: float, width: int) -> Sums:
    """(server, bucket) → [measured seconds, bytes received, bytes sent].

    A sample no longer than a bucket touches at most two of them, which the database adds up by itself; longer ones
    are rare (an agent that was held up) and are shared out here.
    """
    low, high = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end + LONGEST_SAMPLE, UTC)
    found = Sample.objects.filter(server__in=list(servers), time__gt=low, time__lt=high)
    sums: Sums = defaultdict(lambda: [0.0, 0.0, 0.0])
    for server, bucket, *parts in _grouped(found.filter(seconds__lte=width), width):
        _add(sums, (server, int(bucket)), parts[:3])
        _add(sums, (server, int(bucket) - 1), parts[3:])
    long = found.filter(seconds__gt=width).values_list("server_id", "time", "seconds", "rx_bytes", "tx_bytes")
    for server, time, seconds, rx, tx in long.iterator():
        begin, stop = time.timestamp() - seconds, time.timestamp()
        for bucket in range(int(begin // width), int(stop // width) + 1):
            part = min(stop, (bucket + 1) * width) - max(begin, bucket * width)
            _add(sums, (server, bucket), [part, rx * part / seconds, tx * part / seconds])
    return sums


def _add(sums: Sums, key: tuple[str, int], parts: Sequence[float]) -> None:
    row = sums[key]
    for place, part in enumerate(parts):
        row[place] += part


def _grouped(samples: models.QuerySet[Sample], width: int) -> Iterable[tuple[Any, ...]]:
    """Per server and bucket of the samples' ends: seconds, bytes in, bytes out within it, and the same before it."""
    seconds = F("seconds")
    inside = F("epoch") - F("bucket") * Value(float(width))
    head = Case(When(seconds__lt=inside, then=seconds), default=inside, output_field=FloatField())
    shared = samples.annotate(epoch=Epoch("time")).annotate(bucket=Floor(F("epoch") / Value(float(width))))
    shared = shared.annotate(head=head)
    rx, tx = (Cast(F(name), FloatField()) for name in ("rx_bytes", "tx_bytes"))
    tail = seconds - F("head")
    sums = {
        "seconds_in": Sum("head"),
        "rx_in": Sum(rx * F("head") / seconds),
        "tx_in": Sum(tx * F("head") / seconds),
        "seconds_before": Sum(tail),
        "rx_before": Sum(rx * tail / seconds),
        "tx_before": Sum(tx * tail / seconds),
    }
    return (
        shared.order_by()
        .values("server_id", "bucket")
        .annotate(**sums)
        .values_list("server_id", "bucket", *sums)
    )
