"""Roll-ups, counted anew where samples came, and retention: the worker's part of the store.

Counts are exact whatever comes meanwhile: a mark is taken away only if its version is still the one read before the
samples were counted. Writers of samples raise the version in the same transaction, so that samples which were not
counted leave another version.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from connectors.telemetry import partitions, sql
from connectors.telemetry.models import Disagreement, FiveMinutes, Hour, Sample, StaleRollup
from connectors.telemetry.sql import FIVE_MINUTES, HOUR, MEASURES
from connectors.telemetry.writing import FIVE_MINUTES_KEPT, HOURS_KEPT

# Time after the end of five minutes at which they are counted: samples come in batches. Until then, charts count them
# from the raw samples.
SETTLED = timedelta(seconds=45)
# Number of roll-ups counted in one transaction; few on SQLite, where nobody else writes meanwhile.
CHUNK = {"postgresql": 5000, "sqlite": 500}
LOCK = partitions.LOCK + 1
# Longest round; after it the worker turns to its other jobs, and the next round goes on.
ROUND_SECONDS = 60.0
_NAMES = ", ".join(MEASURES)
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in MEASURES)
_SPANS = {"server": "varchar", "start": "bigint"}

Mark = tuple[str, int, int]
"""Mark on a roll-up: server, start, version."""


def roll_up(now: datetime | None = None, *, seconds: float = ROUND_SECONDS) -> int:
    """Count every settled roll-up for which samples came; return how many were counted."""
    settled = (now or timezone.now()).timestamp() - SETTLED.total_seconds()
    deadline, counted = time.monotonic() + seconds, 0
    for width in (FIVE_MINUTES, HOUR):
        after = ("", 0)
        while time.monotonic() < deadline:
            marks = _chunk(width, after, settled)
            if not marks:
                break
            counted += len(marks)
            after = marks[-1][:2]
    return counted


@transaction.atomic
def _chunk(width: int, after: tuple[str, int], settled: float) -> list[Mark]:
    """Count the next roll-ups of a width behind ``after``, none while another worker counts; return their marks."""
    if (
        connection.vendor == "postgresql"
        and not sql.fetch("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])[0][0]
    ):
        return []
    marks = _marks(width, after, settled)
    if not marks:
        return []
    spans = [(server, start) for server, start, _ in marks]
    if width == FIVE_MINUTES:
        _count_five_minutes(spans)
        spans = sorted({(server, start - start % HOUR) for server, start in spans})
    _count_hours(spans)
    _unmark(width, marks)
    return marks


def _marks(width: int, after: tuple[str, int], settled: float) -> list[Mark]:
    found = sql.fetch(
        "SELECT server, start, version FROM connectors_stalerollup"
        " WHERE width = %s AND (server, start) > (%s, %s) AND start <= %s ORDER BY server, start LIMIT %s",
        # Count marked hours at once: only late samples mark an hour, for which nothing more is waited for.
        [
            width,
            *after,
            int(settled) - (FIVE_MINUTES if width == FIVE_MINUTES else 0),
            CHUNK[connection.vendor],
        ],
    )
    return [(server, start, version) for server, start, version in found]


def _count_five_minutes(spans: list[tuple[str, int]]) -> None:
    relation, given = sql.rows("span", _SPANS, spans)
    counted = sql.per_span(
        relation,
        ["span.server", "span.start", "false"],
        sql.of_samples("sample"),
        "connectors_sample sample",
        sql.samples_of_five_minutes("sample", "span"),
    )
    sql.run(
        f"INSERT INTO connectors_fiveminutes (server_id, start, late, {_NAMES}) {counted}"
        f" ON CONFLICT (server_id, start, late) DO UPDATE SET {_REPLACED}",
        given,
    )


def _count_hours(spans: list[tuple[str, int]]) -> None:
    relation, given = sql.rows("span", _SPANS, spans)
    counted = sql.per_span(
        relation,
        ["span.server", "span.start"],
        sql.of_rollups("five"),
        "connectors_fiveminutes five",
        f"five.server_id = span.server AND five.start >= span.start AND five.start < span.start + {HOUR}",
    )
    sql.run(
        f"INSERT INTO connectors_hour (server_id, start, {_NAMES}) {counted}"
        f" ON CONFLICT (server_id, start) DO UPDATE SET {_REPLACED}",
        given,
    )


def _unmark(width: int, marks: list[Mark]) -> None:
    """Take away the marks that are as they were read; a mark that a writer is raising now stays, without waiting."""
    relation, given = sql.rows("seen", {**_SPANS, "version": "bigint"}, marks)
    lock = "FOR UPDATE OF mark SKIP LOCKED" if connection.vendor == "postgresql" else ""
    sql.run(
        "DELETE FROM connectors_stalerollup WHERE id IN (SELECT mark.id FROM connectors_stalerollup mark"  # noqa: S608
        f" JOIN {relation} ON mark.width = {width} AND mark.server = seen.server AND mark.start = seen.start"
        f" AND mark.version = seen.version {lock})",
        given,
    )


def prune(now: datetime | None = None) -> int:
    """Forget raw samples and roll-ups past their time; return how many. Samples not yet rolled up are kept."""
    now = now or timezone.now()
    before = now - settings.RAW_SAMPLE_RETENTION
    oldest = (
        StaleRollup.objects.filter(width=FIVE_MINUTES)
        .order_by("start")
        .values_list("start", flat=True)
        .first()
    )
    if oldest is not None:
        before = min(before, datetime.fromtimestamp(oldest, UTC))
    forgotten = partitions.drop(before) if partitions.supported() else 0
    forgotten += _delete(Sample, time__lt=before)
    # Marks keep no roll-up: that of a removed server has nothing left to be counted from.
    for model, kept in ((FiveMinutes, FIVE_MINUTES_KEPT), (Hour, HOURS_KEPT), (Disagreement, HOURS_KEPT)):
        edge = int((now - kept).timestamp())
        # Forget whole hours only: no hour may be counted from some of its five minutes.
        forgotten += _delete(model, start__lt=edge - edge % HOUR)
    return forgotten


def _delete(model: Any, **old: Any) -> int:
    """Delete in chunks, so that writers are not held up for long; on PostgreSQL raw samples went with their day."""
    if model is Sample and partitions.supported():
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {partitions.REST} WHERE time < %s", [old["time__lt"]])  # noqa: S608
            return int(cursor.rowcount)
    deleted = 0
    while found := list(model.objects.filter(**old).order_by().values_list("pk", flat=True)[:5000]):
        deleted += model.objects.filter(pk__in=found).delete()[0]
    return deleted
