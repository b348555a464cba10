"""Nightly verification of the audit, a piece at each turn of the worker, and its head each minute.

A row that does not hold, and rows cut off since the head was kept, become a message to whoever gets messages.
"""

import logging
import time

from django.conf import settings
from django.db import transaction

from console.auditing import kept_head
from console.core import audit
from console.core.audit_chain import Walk
from console.core.models.audit import AuditRow
from console.push import outbox

log = logging.getLogger("causeway.audit")
EVERY_SECONDS = 24 * 3600.0
WORKER, AUDIT, FAILED = audit.System("worker"), audit.Matter("audit", "Audit"), "audit.verify_failed"
RESTORED = "A restore of the database does that, and is told of once. Else somebody removed rows."


def sentence(walk: Walk) -> str:
    """Say how a verification ended, for people."""
    if not walk.problem:
        return f"{walk.checked:,} rows hold, up to row {walk.number}."
    where = f"Row {walk.broken} does not hold" if walk.broken else "The audit does not hold"
    return f"{where}: {walk.problem}. {walk.checked:,} rows before hold."


def wrong(walk: Walk) -> str:
    """Return what a walk that came to its end found, also beside the head that this host kept; "" when all is well."""
    if walk.problem:
        return sentence(walk)
    return cut_off()


def cut_off() -> str:
    """Say that the head that this host kept is no longer in the table; "" where the head is there, or none is kept."""
    missing = kept_head.wrong()
    return f"The audit was cut off: {missing}. {RESTORED}" if missing else ""


def head() -> str:
    """Return number and digest of the newest row, "" without one. One query."""
    newest = AuditRow.objects.order_by("-id").values_list("id", "digest").first()
    return f"{newest[0]}:{newest[1]}" if newest else ""


class Nightly:
    """Verifications of this worker, one a day, the first when the worker starts.

    When the last one was stands in the worker's memory: a row of the database could tell the worker to sleep.
    """

    def __init__(self) -> None:
        self._walk: Walk | None = None
        self._due = 0.0
        self._told = ""

    def minute(self) -> int:
        """Keep the newest row as the head where rows were added; return 1 then, else 0.

        A head that is kept is compared before another one takes its place, so that rows cut off since are told of.
        """
        kept = kept_head.read()
        if kept_head.file() is None or kept == head():
            return 0
        # Told of once, also on a disk that does not take the next head.
        if kept != self._told and (found := cut_off()):
            self._tell(found)
            self._told = kept
        kept_head.keep(head())
        return 1

    def turn(self) -> int:
        """Verify a piece; return how many rows were verified when the end is reached, else 0."""
        if self._walk is None:
            if time.monotonic() < self._due:
                return 0
            self._walk = Walk()
        if self._walk.step():
            return 0
        walk, self._walk, self._due = self._walk, None, time.monotonic() + EVERY_SECONDS
        if found := wrong(walk):
            self._tell(found)
        elif settings.AUDIT_HEAD_PUSHED:
            self._push_head(walk)
        if not walk.problem:
            kept_head.keep(walk.head)
        return walk.checked

    @staticmethod
    @transaction.atomic
    def _tell(found: str) -> None:
        log.error("%s", found)
        audit.record(actor=WORKER, verb=FAILED, target=AUDIT, after={"problem": found})
        url = f"{settings.PUBLIC_URL}/audit/"
        outbox.post(kind="audit", title="The console's audit does not hold", text=found, url=url)

    @staticmethod
    @transaction.atomic
    def _push_head(walk: Walk) -> None:
        text = f"{sentence(walk)} Keep the head outside of the console: {walk.head}"
        url = f"{settings.PUBLIC_URL}/audit/"
        outbox.post(kind="audit", title="Head of the console's audit", text=text, url=url)


nightly = Nightly()
