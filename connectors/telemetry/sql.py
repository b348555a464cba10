"""SQL that the store's parts share, for PostgreSQL and SQLite alike: rows sent along, and how samples add up."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

FIVE_MINUTES, HOUR = 300, 3600
# Seconds of the longest sample that is stored whole (see connectors.telemetry.writing): no stored sample crosses the
# end of its five minutes by more than half of this.
SHORT_SAMPLE = 60.0
# Columns of a roll-up's measured values, and the raw samples' columns that they come from.
VALUES = {"cpu": "cpu_percent", "memory": "memory_percent", "latency": "latency_ms", "loss": "loss_percent"}
MEASURES = (
    *("samples", "seconds", "rx_bytes", "tx_bytes", "rx_peak", "tx_peak"),
    *(f"{value}_{part}" for value in VALUES for part in ("sum", "count", "peak")),
)
_PEAK = "MAX(CAST({0} AS double precision) * 8 / CASE WHEN {1} < 1 THEN 1 ELSE {1} END)"


_GAUGE = {"sum": "COALESCE(SUM({}), 0)", "count": "COUNT({})", "peak": "MAX({})"}


def of_samples(alias: str) -> dict[str, str]:
    """Map the ``MEASURES`` of a group of raw samples, in their order, to expressions."""
    found = {"samples": "COUNT(*)", "seconds": f"SUM({alias}.seconds)"}
    found |= {name: f"CAST(SUM({alias}.{name}) AS bigint)" for name in ("rx_bytes", "tx_bytes")}
    found |= {f"{way}_peak": _PEAK.format(f"{alias}.{way}_bytes", f"{alias}.seconds") for way in ("rx", "tx")}
    for name, column in VALUES.items():
        found |= {f"{name}_{part}": function.format(f"{alias}.{column}") for part, function in _GAUGE.items()}
    return found


def of_rollups(alias: str) -> dict[str, str]:
    """Map the ``MEASURES`` of a group of roll-ups, in their order, to expressions."""
    found = {}
    for name in MEASURES:
        if name.endswith("_peak"):
            found[name] = f"MAX({alias}.{name})"
        elif name.endswith("_sum") or name == "seconds":
            found[name] = f"SUM({alias}.{name})"
        else:
            found[name] = f"CAST(SUM({alias}.{name}) AS bigint)"
    return found


def per_span(spans: str, first: Iterable[str], measures: Mapping[str, str], source: str, where: str) -> str:
    """Select ``first`` and ``measures`` for each row of ``spans``, named ``span``, that has any source.

    LATERAL makes PostgreSQL look up each span by itself: left to choose, it reads and sorts the whole table.
    """
    if connection.vendor == "postgresql":
        own = ", ".join(f"{expression} AS {name}" for name, expression in measures.items())
        columns = ", ".join([*first, *(f"counted.{name}" for name in measures)])
        return (
            f"SELECT {columns} FROM {spans} CROSS JOIN LATERAL"  # noqa: S608
            f" (SELECT {own} FROM {source} WHERE {where} HAVING COUNT(*) > 0) counted"
        )
    columns = ", ".join([*first, *measures.values()])
    return f"SELECT {columns} FROM {spans} JOIN {source} ON {where} GROUP BY span.server, span.start"  # noqa: S608


def rows(name: str, columns: Mapping[str, str], values: Iterable[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Make a relation called ``name`` of given rows, to stand after FROM, and its parameters.

    ``columns``: name → type on PostgreSQL. PostgreSQL takes a parameter for each column, SQLite one for all rows.
    """
    # COPY into a temporary table takes half as long again for the dozens of rows of a group (3.9 ms against 2.6 for 30)
    # and as long for 300; only from thousands on it is quicker.
    table = list(values)
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
        turned = [list(column) for column in zip(*table, strict=True)] or [[] for _ in columns]
        for place, kind in enumerate(columns.values()):
            if kind == "float8":  # all values of an array have one type
                turned[place] = [None if value is None else float(value) for value in turned[place]]
        return f"unnest({arrays}) AS {name}({', '.join(columns)})", turned
    picked = ", ".join(f"json_extract(value, '$[{place}]') AS {key}" for place, key in enumerate(columns))
    plain = [[_plain(value) for value in row] for row in table]
    return f"(SELECT {picked} FROM json_each(%s)) AS {name}", [json.dumps(plain)]  # noqa: S608


def _plain(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def moment(expression: str) -> str:
    """Turn epoch seconds into what the database compares with a column of moments."""
    if connection.vendor == "postgresql":
        return f"to_timestamp({expression})"
    return f"datetime({expression}, 'unixepoch')"


def epoch(column: str) -> str:
    """Turn a column of moments into epoch seconds."""
    if connection.vendor == "postgresql":
        return f"EXTRACT(EPOCH FROM {column})::double precision"
    return f"((julianday({column}) - 2440587.5) * 86400.0)"


def at(epoch: float) -> datetime:
    """Return the moment of epoch seconds."""
    return datetime.fromtimestamp(epoch, UTC)


def samples_of_five_minutes(sample: str, span: str) -> str:
    """Make the condition of samples in a span: an index finds them by time, ``start`` says which of them count."""
    return (
        f"{sample}.server_id = {span}.server AND {sample}.start = {span}.start"
        f" AND {sample}.time >= {moment(f'{span}.start')}"
        f" AND {sample}.time <= {moment(f'{span}.start + {FIVE_MINUTES + int(SHORT_SAMPLE)}')}"
    )


def run(statement: str, parameters: Sequence[Any] = ()) -> int:
    """Execute a statement; return the number of rows written."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def fetch(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
