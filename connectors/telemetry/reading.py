"""Reading what was measured: from raw samples, from the five minutes or from the hours, as the width of a point asks.

Roll-ups that were not counted anew since samples came are replaced by what they will be, in the same statement, so that
a reader never sees an older state than the writers left, and the worker's pauses are not visible.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from connectors.telemetry import sql
from connectors.telemetry.sql import FIVE_MINUTES, HOUR, VALUES

# What rounding leaves of a sample beyond a bucket's edge is no measurement of that bucket.
SLIVER = 0.05
LONGEST_PIECE = float(FIVE_MINUTES)
_TRAFFIC = ("seconds", "rx_bytes", "tx_bytes", "rx_peak", "tx_peak")
_GAUGES = tuple(f"{value}_{part}" for value in VALUES for part in ("sum", "count", "peak"))
COLUMNS = (*_TRAFFIC, *_GAUGES)
_NAMES = ", ".join(COLUMNS)

Query = tuple[str, list[Any]]
Servers = Sequence[str] | None
"""None: every server."""


def by_server(servers: Servers, first: int, last: int, width: int) -> dict[tuple[str, int], list[Any]]:
    """(server, bucket) → ``COLUMNS``, for the buckets ``first`` ≤ bucket < ``last`` of ``width`` seconds since 1970."""
    query, given = _summed(*_pieces(servers, first, last, width))
    found = {(server, int(bucket)): list(row) for server, bucket, *row in sql.fetch(query, given)}
    return {key: row for key, row in found.items() if first <= key[1] < last and row[0] > SLIVER}


def totals(servers: Servers, first: int, last: int, width: int) -> dict[int, list[float]]:
    """Bucket → bit/s received and sent by the servers together, and the sums of each one's peaks."""
    inner, given = _summed(*_pieces(servers, first, last, width))
    rows = sql.fetch(
        "SELECT bucket, SUM(rx_bytes * 8 / seconds), SUM(tx_bytes * 8 / seconds), SUM(rx_peak), SUM(tx_peak)"  # noqa: S608
        f" FROM ({inner}) each_server WHERE seconds > {SLIVER} AND bucket >= %s AND bucket < %s GROUP BY bucket",
        [*given, first, last],
    )
    return {int(bucket): [float(value or 0) for value in row] for bucket, *row in rows}


def highest(servers: Sequence[str]) -> float:
    """Of each hour the servers' peaks are added up; the highest of these sums, of either way."""
    chosen, given = _chosen("server_id", servers)
    hours = (
        f"SELECT SUM(rx_peak) AS rx, SUM(tx_peak) AS tx FROM connectors_hour WHERE {chosen} GROUP BY start"  # noqa: S608
    )
    rx, tx = sql.fetch(f"SELECT MAX(rx), MAX(tx) FROM ({hours}) hours", given)[0]  # noqa: S608
    return float(max(rx or 0, tx or 0))


def _summed(pieces: str, given: list[Any]) -> Query:
    peaks = {name for name in COLUMNS if name.endswith("_peak")}
    sums = [
        f"MAX({name}) AS {name}" if name in peaks else f"CAST(SUM({name}) AS double precision) AS {name}"
        for name in COLUMNS
    ]
    return f"SELECT server, bucket, {', '.join(sums)} FROM ({pieces}) piece GROUP BY server, bucket", given  # noqa: S608


def _pieces(servers: Servers, first: int, last: int, width: int) -> Query:
    low, high = first * width, last * width
    if width % HOUR == 0:
        return _hours(servers, low, high, width)
    if width % FIVE_MINUTES == 0:
        return _five_minutes(servers, low, high, width)
    return _raw(servers, low, high, width)


def _chosen(column: str, servers: Servers) -> Query:
    if servers is None:
        return "true", []
    if not servers:
        return "false", []
    return f"{column} IN ({', '.join(['%s'] * len(servers))})", list(servers)


# --- Roll-ups ---------------------------------------------------------------------------------------------------------

_FRESH = (
    "(five.late OR NOT EXISTS (SELECT 1 FROM connectors_stalerollup mark WHERE mark.width = 300"
    " AND mark.server = five.server_id AND mark.start = five.start))"
)


def _columns(alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in COLUMNS)


def _five_minutes(servers: Servers, low: int, high: int, width: int) -> Query:
    chosen, given = _chosen("five.server_id", servers)
    stale, stale_given = _not_yet_counted(servers, low, high, width)
    return (
        f"SELECT five.server_id AS server, five.start / {width} AS bucket, {_columns('five')}"  # noqa: S608
        f" FROM connectors_fiveminutes five WHERE {chosen} AND five.start >= %s AND five.start < %s AND {_FRESH}"
        f" UNION ALL {stale}",
        [*given, low, high, *stale_given],
    )


def _hours(servers: Servers, low: int, high: int, width: int) -> Query:
    """Hours; where one of them or of its five minutes is stale, the five minutes in its place."""
    marked, marked_given = _chosen("server", servers)
    chosen, given = _chosen("hour.server_id", servers)
    stale, stale_given = _not_yet_counted(servers, low, high, width)
    return (
        f"SELECT hour.server_id AS server, hour.start / {width} AS bucket, {_columns('hour')}"  # noqa: S608
        f" FROM connectors_hour hour WHERE {chosen} AND hour.start >= %s AND hour.start < %s"
        f" AND (hour.server_id, hour.start) NOT IN (SELECT server, start - start %% {HOUR} FROM connectors_stalerollup"
        f" WHERE {marked} AND start >= %s AND start < %s)"
        f" UNION ALL SELECT five.server_id, five.start / {width}, {_columns('five')}"
        f" FROM (SELECT DISTINCT server, start - start %% {HOUR} AS hour FROM connectors_stalerollup"
        f" WHERE {marked} AND start >= %s AND start < %s) pending JOIN connectors_fiveminutes five"
        f" ON five.server_id = pending.server AND five.start >= pending.hour AND five.start < pending.hour + {HOUR}"
        f" WHERE {_FRESH} UNION ALL {stale}",
        [*given, low, high, *marked_given, low, high, *marked_given, low, high, *stale_given],
    )


def _not_yet_counted(servers: Servers, low: int, high: int, width: int) -> Query:
    chosen, given = _chosen("span.server", servers)
    counted = sql.of_samples("sample")
    spans = (
        f"(SELECT server, start FROM connectors_stalerollup span WHERE span.width = {FIVE_MINUTES} AND {chosen}"  # noqa: S608
        " AND span.start >= %s AND span.start < %s) AS span"
    )
    query = sql.per_span(
        spans,
        ["span.server", f"span.start / {width}"],
        {name: counted[name] for name in COLUMNS},
        "connectors_sample sample",
        sql.samples_of_five_minutes("sample", "span"),
    )
    return query, [*given, low, high]


# --- Raw samples ------------------------------------------------------------------------------------------------------


def _epoch(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"EXTRACT(EPOCH FROM {column})::double precision"
    return f"((julianday({column}) - 2440587.5) * 86400.0)"


def _moment(epoch: float) -> Any:
    return connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(epoch, UTC))


def _raw(servers: Servers, low: int, high: int, width: int) -> Query:
    """A sample's bytes are shared among the buckets that it touches; other values stand where it ends."""
    chosen, given = _chosen("server_id", servers)
    numbers = " UNION ALL ".join(f"SELECT {number} AS number" for number in range(FIVE_MINUTES // width + 2))
    samples = (
        f"SELECT server_id AS server, {_epoch('time')} AS epoch, seconds, rx_bytes, tx_bytes,"  # noqa: S608
        f" {', '.join(VALUES.values())} FROM connectors_sample WHERE {chosen} AND time > %s AND time < %s"
    )
    first = f"SELECT *, CAST(FLOOR((epoch - seconds) / {width}) AS bigint) AS first FROM ({samples}) one"  # noqa: S608
    begin, end = f"bucket * {width}", f"(bucket + 1) * {width}"
    part = (
        f"CASE WHEN epoch < {end} THEN epoch ELSE {end} END"
        f" - CASE WHEN epoch - seconds > {begin} THEN epoch - seconds ELSE {begin} END"
    )
    touched = (
        f"SELECT *, {part} AS part FROM (SELECT *, first + number AS bucket FROM ({first}) two"  # noqa: S608
        f" JOIN ({numbers}) buckets ON (first + number) * {width} < epoch) three"
    )
    rate = "{} * 8.0 / CASE WHEN seconds < 1 THEN 1 ELSE seconds END"
    gauges = ", ".join(
        f"CASE WHEN ends THEN COALESCE({column}, 0) ELSE 0 END AS {name}_sum,"
        f" CASE WHEN ends AND {column} IS NOT NULL THEN 1 ELSE 0 END AS {name}_count,"
        f" CASE WHEN ends THEN {column} END AS {name}_peak"
        for name, column in VALUES.items()
    )
    query = (
        "SELECT server, bucket, part AS seconds, rx_bytes * part / seconds AS rx_bytes,"  # noqa: S608
        f" tx_bytes * part / seconds AS tx_bytes, CASE WHEN part > {SLIVER} THEN {rate.format('rx_bytes')} END"
        f" AS rx_peak, CASE WHEN part > {SLIVER} THEN {rate.format('tx_bytes')} END AS tx_peak, {gauges}"
        f" FROM (SELECT *, epoch <= {end} AS ends FROM ({touched}) four) five"
    )
    return query, [*given, _moment(low), _moment(high + LONGEST_PIECE)]
