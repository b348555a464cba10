"""Partitions of raw samples on PostgreSQL, a table for each day, so that forgetting a day is dropping its table.

Samples of days without a table lie in ``connectors_sample_rest``. On SQLite there is one table, and nothing to do.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction

TABLE = "connectors_sample"
REST = f"{TABLE}_rest"
# Lock under which one process at a time makes or drops tables; no other lock may have this number.
LOCK = 7_306_001
_NAME = re.compile(rf"^{TABLE}_(\d{{4}})(\d{{2}})(\d{{2}})$")
_DAY = timedelta(days=1)
_made: set[date] = set()


def supported() -> bool:
    return connection.vendor == "postgresql"


def days() -> dict[date, str]:
    """Map each day (UTC) to the table that holds its samples."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass ORDER BY 1",
            [TABLE],
        )
        names = [name for (name,) in cursor.fetchall()]
    return {date(*map(int, found.groups())): found.string for name in names if (found := _NAME.match(name))}


def ensure(wanted: Iterable[date]) -> None:
    """Make the tables of the days, unless they are there.

    A day with samples in the rest stays there: PostgreSQL would refuse its table, and the samples are safe.
    """
    missing = set(wanted) - _made
    if not missing or not supported():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for day in sorted(missing - days().keys()):
            begin, end = _bounds(day)
            query = f"SELECT EXISTS (SELECT 1 FROM {REST} WHERE time >= %s AND time < %s)"  # noqa: S608
            cursor.execute(query, [begin, end])
            if not cursor.fetchone()[0]:
                cursor.execute(
                    f"CREATE TABLE {TABLE}_{day:%Y%m%d} PARTITION OF {TABLE}"
                    f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
                )
        transaction.on_commit(lambda: _made.update(missing))


def drop(before: datetime) -> int:
    """Drop the tables of days that ended by ``before``; return how many samples those were, as PostgreSQL guesses."""
    dropped = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for day, table in days().items():
            if _bounds(day)[1] <= before:
                cursor.execute(
                    "SELECT greatest(reltuples, 1)::bigint FROM pg_class WHERE oid = %s::regclass", [table]
                )
                dropped += cursor.fetchone()[0]
                cursor.execute(f"DROP TABLE {table}")
                _made.discard(day)
    return dropped


def _bounds(day: date) -> tuple[datetime, datetime]:
    begin = datetime.combine(day, time(), UTC)
    return begin, begin + _DAY
