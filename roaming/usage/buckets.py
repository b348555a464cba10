"""Bytes in buckets of time: added up as gateways report, read, and forgotten."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from console.kit import windows
from roaming.sessions.models import UserSession
from roaming.usage.models.usage import Usage

Span = Usage.Span
KEEP = {Span.MINUTE: timedelta(hours=48), Span.HOUR: windows.KEPT, Span.MONTH: timedelta(days=3 * 366)}
# Beginning of the one bucket of a subject that has only a total.
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
# So many rows are deleted in one transaction, so that reports never wait long behind its locks.
SWEEP = 5000
# The most that a column holds. A fuller bucket stays at this value: an error would hold back its gateway for ever.
MOST = 2**63 - 1

Bytes = tuple[int, int]
Key = tuple[str, str, datetime]


def bucket(span: str, moment: datetime) -> datetime:
    """Return the beginning of the bucket that ``moment`` lies in."""
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0)
    if span == Span.MINUTE:
        return moment
    if span == Span.HOUR:
        return moment.replace(minute=0)
    return moment.replace(day=1, hour=0, minute=0) if span == Span.MONTH else ALWAYS


class Sums:
    """Sums to be added, so that a batch of records costs one row for each bucket that the batch touches."""

    def __init__(self) -> None:
        self._sums: dict[Key, list[int]] = defaultdict(lambda: [0, 0])

    def add(
        self, *, account: str, instance: str, session: str, carrier: str, moment: datetime, up: int, down: int
    ) -> None:
        """Count ``up`` and ``down`` more bytes, reported for ``moment``. Ids may be empty.

        ``carrier``: the server that carried them, or its connector where the server is not known.
        """
        if not up and not down:
            return
        keys = [(subject, span) for subject in (account, instance) for span in KEEP]
        for subject, span in [*keys, (session, Span.TOTAL), (carrier, Span.HOUR)]:
            if subject:
                row = self._sums[subject, span, bucket(span, moment)]
                row[0] += up
                row[1] += down

    def write(self) -> None:
        """Add the sums to the stored buckets, within the caller's transaction.

        Rows go in the order of their keys, so that two gateways that report on one account do not wait for each other.
        """
        table = connection.ops.quote_name(Usage._meta.db_table)
        adapt = connection.ops.adapt_datetimefield_value
        rows = [(s, span, adapt(time), *self._sums[s, span, time]) for s, span, time in sorted(self._sums)]
        if not rows:
            return
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} (subject, span, time, bytes_up, bytes_down) VALUES (%s, %s, %s, %s, %s) "  # noqa: S608 (our own table's name)
                f"ON CONFLICT (subject, span, time) DO UPDATE SET "
                f"bytes_up = {_added(table, 'bytes_up')}, bytes_down = {_added(table, 'bytes_down')}",
                rows,
            )


def _added(table: str, name: str) -> str:
    old, new = f"{table}.{name}", f"excluded.{name}"
    return f"CASE WHEN {old} > {MOST} - {new} THEN {MOST} ELSE {old} + {new} END"


def of(subject: str, span: str, start: datetime, end: datetime) -> dict[datetime, Bytes]:
    """Return bucket → (bytes up, bytes down) of the buckets that begin in [start, end), without empty ones."""
    rows = Usage.objects.filter(subject=subject, span=span, time__gte=start, time__lt=end)
    return {time: (up, down) for time, up, down in rows.values_list("time", "bytes_up", "bytes_down")}


def totals(sessions: Sequence[str]) -> dict[str, Bytes]:
    """Return session → (bytes up, bytes down); one query."""
    rows = Usage.objects.filter(subject__in=sessions, span=Span.TOTAL)
    return {
        subject: (up, down) for subject, up, down in rows.values_list("subject", "bytes_up", "bytes_down")
    }


def of_hour(subjects: Sequence[str], start: datetime) -> dict[str, Bytes]:
    """Return subject → (bytes up, bytes down) of the hour that begins at ``start``; one query."""
    rows = Usage.objects.filter(subject__in=subjects, span=Span.HOUR, time=start)
    return {
        subject: (up, down) for subject, up, down in rows.values_list("subject", "bytes_up", "bytes_down")
    }


def this_month() -> QuerySet[Usage]:
    """Return the rows of the present month, one for each subject. Data of the month counts the larger direction."""
    return Usage.objects.filter(span=Span.MONTH, time=bucket(Span.MONTH, timezone.now()))


def usage_forget(now: datetime | None = None) -> int:
    """Let the worker remove buckets past their time, and totals of sessions ended two days ago; return how many."""
    now = now or timezone.now()
    gone = sum(_sweep(Usage.objects.filter(span=span, time__lt=now - keep)) for span, keep in KEEP.items())
    old = UserSession.objects.filter(
        ended_at__lt=now - KEEP[Span.MINUTE], ended_at__gt=now - timedelta(days=30)
    )
    return gone + _sweep(Usage.objects.filter(span=Span.TOTAL, subject__in=old.values("pk")))


def _sweep(rows: QuerySet[Usage]) -> int:
    gone = 0
    while keys := list(rows.order_by().values_list("pk", flat=True)[:SWEEP]):
        gone += Usage.objects.filter(pk__in=keys).delete()[0]
    return gone
