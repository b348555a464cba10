"""Reads of what was measured: from raw samples, from the five minutes or from the hours, by the width of a point.

Roll-ups that were not counted anew since samples came are replaced by what they will be, in the same statement, so that
a reader never sees an older state than the writers left, and the worker's pauses do not show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from connectors.telemetry import sql
from connectors.telemetry.sql import FIVE_MINUTES, HOUR, VALUES

# Rounding leaves this much of a sample beyond a bucket's edge, which is no measurement of that bucket.
SLIVER = 0.05
LONGEST_PIECE = float(FIVE_MINUTES)
_TRAFFIC = ("seconds", "rx_bytes", "tx_bytes", "rx_peak", "tx_peak")
_GAUGES = tuple(f"{value}_{part}" for value in VALUES for part in ("sum", "count", "peak"))
COLUMNS = (*_TRAFFIC, *_GAUGES)

Query = tuple[str, list[Any]]
"""Statement with ``%s`` for each parameter, and the parameters."""
Servers = Sequence[str] | None
"""Ids of servers; None: every server."""


def by_server(servers: Servers, first: int, last: int, width: int) -> dict[tuple[str, int], list[Any]]:
    """Map (server, bucket) to ``COLUMNS``, for ``first`` ≤ bucket < ``last``; buckets count from 1970.

    Run one query, as ``totals`` and ``highest`` do.
    """
    query, given = _summed(servers, first, last, width)
    found = {(server, int(bucket)): list(row) for server, bucket, *row in sql.fetch(query, given)}
    return {key: row for key, row in found.items() if first <= key[1] < last and row[0] > SLIVER}


def totals(servers: Servers, first: int, last: int, width: int) -> dict[int, list[float]]:
    """Map each bucket to bit/s received and sent by the servers together, and to the sums of each one's peaks."""
    each_server, given = _summed(servers, first, last, width)
    rows = sql.fetch(
        "SELECT bucket, SUM(rx_bytes * 8 / seconds), SUM(tx_bytes * 8 / seconds), SUM(rx_peak), SUM(tx_peak)"  # noqa: S608
        f" FROM ({each_server}) each_server"
        f" WHERE seconds > {SLIVER} AND bucket >= %s AND bucket < %s GROUP BY bucket",
        [*given, first, last],
    )
    return {int(bucket): [float(value or 0) for value in row] for bucket, *row in rows}


def highest(servers: Sequence[str]) -> float:
    """Add the servers' peaks of each hour up; return the highest of these sums, of either way."""
    chosen, given = _chosen("server_id", servers)
    hours = (
        f"SELECT SUM(rx_peak) AS rx, SUM(tx_peak) AS tx FROM connectors_hour WHERE {chosen} GROUP BY start"  # noqa: S608
    )
    rx, tx = sql.fetch(f"SELECT MAX(rx), MAX(tx) FROM ({hours}) hours", given)[0]  # noqa: S608
    return float(max(rx or 0, tx or 0))


def _summed(servers: Servers, first: int, last: int, width: int) -> Query:
    """Add the pieces up: one row for each server and bucket."""
    pieces, given = _pieces(servers, first * width, last * width, width)
    sums = [
        f"MAX({name}) AS {name}"
        if name.endswith("_peak")
        else f"CAST(SUM({name}) AS double precision) AS {name}"
        for name in COLUMNS
    ]
    return f"SELECT server, bucket, {', '.join(sums)} FROM ({pieces}) piece GROUP BY server, bucket", given  # noqa: S608


def _pieces(servers: Servers, low: int, high: int, width: int) -> Query:
    """Select (server, bucket, ``COLUMNS``) from the coarsest table that has points of ``width`` seconds.

    ``low`` and ``high`` are seconds since 1970; a bucket may come in several rows.
    """
    if width % HOUR == 0:
        return _hours(servers, low, high, width)
    if width % FIVE_MINUTES == 0:
        return _five_minutes(servers, low, high, width)
    return _raw(servers, low, high, width)


def _chosen(column: str, servers: Servers) -> Query:
    """Make the condition that ``column`` names one of the servers."""
    if servers is None:
        return "true", []
    if not servers:
        return "false", []
    return f"{column} IN ({', '.join(['%s'] * len(servers))})", list(servers)


# --- Roll-ups ---------------------------------------------------------------------------------------------------------

# Five minutes that hold: counted anew since samples came, or added to by late samples alone.
_FRESH = (
    f"(five.late OR NOT EXISTS (SELECT 1 FROM connectors_stalerollup mark WHERE mark.width = {FIVE_MINUTES}"  # noqa: S608
    " AND mark.server = five.server_id AND mark.start = five.start))"
)


def _rollup(alias: str, width: int) -> str:
    """Name a roll-up's server, its bucket of ``width`` seconds and its ``COLUMNS``, to stand after SELECT."""
    columns = ", ".join(f"{alias}.{name}" for name in COLUMNS)
    return f"{alias}.server_id AS server, {alias}.start / {width} AS bucket, {columns}"


def _five_minutes(servers: Servers, low: int, high: int, width: int) -> Query:
    """Select five minutes that hold, and count the others from their samples."""
    chosen, given = _chosen("five.server_id", servers)
    counted = (
        f"SELECT {_rollup('five', width)} FROM connectors_fiveminutes five"  # noqa: S608
        f" WHERE {chosen} AND five.start >= %s AND five.start < %s AND {_FRESH}"
    )
    uncounted, uncounted_given = _not_yet_counted(servers, low, high, width)
    return f"{counted} UNION ALL {uncounted}", [*given, low, high, *uncounted_given]


def _hours(servers: Servers, low: int, high: int, width: int) -> Query:
    """Select hours; where one of them or of its five minutes is stale, the five minutes in its place."""
    chosen, given = _chosen("hour.server_id", servers)
    marked, marked_given = _chosen("server", servers)
    # Hours that do not hold: (server, start) of each hour with a mark on itself or on one of its five minutes.
    pending = f"server, start - start %% {HOUR} AS hour FROM connectors_stalerollup"
    pending += f" WHERE {marked} AND start >= %s AND start < %s"
    pending_given = [*marked_given, low, high]
    counted = (
        f"SELECT {_rollup('hour', width)} FROM connectors_hour hour"  # noqa: S608
        f" WHERE {chosen} AND hour.start >= %s AND hour.start < %s"
        f" AND (hour.server_id, hour.start) NOT IN (SELECT {pending})"
    )
    # Five minutes that hold, in the place of the pending hour that they belong to.
    replaced = (
        f"SELECT {_rollup('five', width)}"  # noqa: S608
        f" FROM (SELECT DISTINCT {pending}) pending JOIN connectors_fiveminutes five"
        f" ON five.server_id = pending.server AND five.start >= pending.hour AND five.start < pending.hour + {HOUR}"
        f" WHERE {_FRESH}"
    )
    uncounted, uncounted_given = _not_yet_counted(servers, low, high, width)
    return (
        f"{counted} UNION ALL {replaced} UNION ALL {uncounted}",
        [*given, low, high, *pending_given, *pending_given, *uncounted_given],
    )


def _not_yet_counted(servers: Servers, low: int, high: int, width: int) -> Query:
    """Count marked five minutes from their samples, as the worker will."""
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


def _moment(epoch: float) -> Any:
    return connection.ops.adapt_datetimefield_value(sql.at(epoch))


def _raw(servers: Servers, low: int, high: int, width: int) -> Query:
    """Share the bytes of each sample among the buckets that it touches; other values count where the sample ends."""
    chosen, given = _chosen("server_id", servers)
    begin, end = f"bucket * {width}", f"(bucket + 1) * {width}"
    from_, until = _greater("epoch - seconds", begin), _less("epoch", end)
    steps = {
        # Samples, each with its end in seconds since 1970.
        "sample": f"SELECT server_id AS server, {sql.epoch('time')} AS epoch, seconds, rx_bytes, tx_bytes,"  # noqa: S608
        f" {', '.join(VALUES.values())} FROM connectors_sample WHERE {chosen} AND time > %s AND time < %s",
        # Samples with the first bucket that each of them touches.
        "placed": f"SELECT *, CAST(FLOOR((epoch - seconds) / {width}) AS bigint) AS first FROM sample",  # noqa: S608
        # 0, 1, 2 and so on, to as many buckets as the longest sample can touch.
        "step": " UNION ALL ".join(
            f"SELECT {number} AS number" for number in range(FIVE_MINUTES // width + 2)
        ),
        # Rows of (sample, bucket), one for each two that touch.
        "touch": f"SELECT *, first + number AS bucket FROM placed JOIN step ON (first + number) * {width} < epoch",  # noqa: S608
        # Rows of ``touch`` with the seconds that the sample has in the bucket, and whether the sample ends there.
        "shared": f"SELECT *, {until} - {from_} AS part, epoch <= {end} AS ends FROM touch",  # noqa: S608
    }
    columns = {
        "seconds": "part",
        "rx_bytes": "rx_bytes * part / seconds",
        "tx_bytes": "tx_bytes * part / seconds",
        "rx_peak": f"CASE WHEN part > {SLIVER} THEN {_rate('rx_bytes')} END",
        "tx_peak": f"CASE WHEN part > {SLIVER} THEN {_rate('tx_bytes')} END",
    }
    for name, column in VALUES.items():
        columns[f"{name}_sum"] = f"CASE WHEN ends THEN COALESCE({column}, 0) ELSE 0 END"
        columns[f"{name}_count"] = f"CASE WHEN ends AND {column} IS NOT NULL THEN 1 ELSE 0 END"
        columns[f"{name}_peak"] = f"CASE WHEN ends THEN {column} END"
    query = f"{_with(steps)} SELECT server, bucket, {_named(columns)} FROM shared"  # noqa: S608
    return query, [*given, _moment(low), _moment(high + LONGEST_PIECE)]


def _with(steps: Mapping[str, str]) -> str:
    """Make a WITH of ``steps`` (name → SELECT), in which each step reads the ones above it."""
    return "WITH " + ", ".join(f"{name} AS ({query})" for name, query in steps.items())


def _named(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def _greater(one: str, other: str) -> str:
    """Choose the greater of two expressions; SQLite has no GREATEST, PostgreSQL no MAX of two."""
    return f"CASE WHEN {one} > {other} THEN {one} ELSE {other} END"


def _less(one: str, other: str) -> str:
    return f"CASE WHEN {one} < {other} THEN {one} ELSE {other} END"


def _rate(column: str) -> str:
    """Turn bytes of a sample into bit/s over at least a second."""
    return f"{column} * 8.0 / CASE WHEN seconds < 1 THEN 1 ELSE seconds END"
