"""Nightly verification of the audit: a piece at each turn of the worker, and a message when a row does not hold."""

import logging
import time

from django.conf import settings
from django.db import transaction

from console.auditing import kept_head
from console.core import audit
from console.core.audit_chain import Walk
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
    missing = kept_head.wrong()
    return f"The audit was cut off: {missing}. {RESTORED}" if missing else ""


class Nightly:
    """Verifications of this worker, one a day, the first when the worker starts.

    When the last one was stands in the worker's memory: a row of the database could tell the worker to sleep.
    """

    def __init__(self) -> None:
        self._walk: Walk | None = None
        self._due = 0.0

    def turn(self) -> int:
        """Verify a piece; return how many rows were verified when the end is reached, else 0."""
        if self._walk is None:
            if time.monotonic() < self._due:
                return 0
            self._walk = Walk()
        if self._walk.step():
            return 0
        walk, self._walk, self._due = self._walk, None, time.monotonic() + EVERY_SECONDS
        self._tell(walk, wrong(walk))
        if not walk.problem:
            kept_head.keep(walk.head)
        return walk.checked

    @staticmethod
    @transaction.atomic
    def _tell(walk: Walk, found: str) -> None:
        url = f"{settings.PUBLIC_URL}/audit/"
        if found:
            log.error("%s", found)
            audit.record(actor=WORKER, verb=FAILED, target=AUDIT, after={"problem": found})
            outbox.post(kind="audit", title="The console's audit does not hold", text=found, url=url)
        elif settings.AUDIT_HEAD_PUSHED:
            text = f"{sentence(walk)} Keep the head outside of the console: {walk.head}"
            outbox.post(kind="audit", title="Head of the console's audit", text=text, url=url)


nightly = Nightly()
