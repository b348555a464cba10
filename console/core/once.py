"""Submissions that count once: the first one is claimed by its key, and a repetition waits for the first one's answer.

The claim is a row that is committed before the work begins. `console.core.versions.recorded` marks the row within the
transaction of the work, so that after a crash the row tells whether something was written.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from console.core.errors import Conflict
from console.core.models.access import User
from console.core.models.submissions import PURPOSE, Submission
from console.core.sealed import seal, unseal

# Time for which an answer is kept, which may show a secret; and for which it is known that a form was sent.
KEEP_ANSWER = timedelta(minutes=15)
KEEP = timedelta(days=7)
# Time after which work without an answer counts as broken off: no request lives longer.
BROKEN = timedelta(seconds=90)
WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.1


class Repeated(Exception):
    """A form that was sent before. ``answer``: the first one's, None when the answer is not kept any more."""

    def __init__(self, row: Submission, answer: dict[str, Any] | None) -> None:
        super().__init__(row.path)
        self.row, self.answer = row, answer


def claim(*, key: str, user: User, path: str) -> Submission:
    """Begin a submission. Raises `Repeated` for one that was answered, ``Conflict`` for one that takes too long."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with transaction.atomic():
                return Submission.objects.create(key=key, user=user, path=path[:200])
        except IntegrityError:
            row = Submission.objects.filter(key=key).first()
        if row is not None and (mine := _judged(row)):
            return mine
        if time.monotonic() > until:
            raise Conflict(
                "The same form was sent before and is still being worked on. Look at the page in a moment."
            )
        time.sleep(LOOK_SECONDS)


def _judged(row: Submission) -> Submission | None:
    """Take over work that broke off without a trace; None while the first one works. Raises `Repeated`."""
    now = timezone.now()
    if row.ended_at is not None:
        fresh = now - row.ended_at < KEEP_ANSWER
        raise Repeated(row, unseal(PURPOSE, row.answer) or None if fresh else None)
    if now - row.begun_at < BROKEN:
        return None
    if row.written:
        raise Repeated(row, None)
    untouched = Submission.objects.filter(pk=row.pk, begun_at=row.begun_at, ended_at=None, written=False)
    return row if untouched.update(begun_at=now) else None


def keep(row: Submission, answer: dict[str, Any]) -> None:
    """Note the answer of a submission, for those who repeat it."""
    Submission.objects.filter(pk=row.pk).update(ended_at=timezone.now(), answer=seal(PURPOSE, answer))


def release(row: Submission) -> None:
    """Forget a submission that was refused: nothing was written, and the same form may be sent again."""
    Submission.objects.filter(pk=row.pk).delete()


def forget_old(now: datetime | None = None) -> int:
    """Erase answers that are older than a quarter of an hour and rows older than a week; return how many."""
    now = now or timezone.now()
    erased = Submission.objects.filter(ended_at__lt=now - KEEP_ANSWER).exclude(answer="").update(answer="")
    return erased + Submission.objects.filter(begun_at__lt=now - KEEP).delete()[0]
