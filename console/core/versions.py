"""Versions of rows: the number of the newest audit row about an object, which every write of every door raises.

A page notes the newest number of all when it begins to be drawn, and its forms send that number back as ``based_on``.
A service that then writes about an object which was changed since is refused with `Stale`: `console.core.audit.record`
asks here, under the lock for which all writers queue, so that no change slips between the question and the write.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC

from django.db import transaction
from django.db.models import QuerySet

from console.core.errors import Conflict
from console.core.models.audit import AuditRow
from console.core.models.submissions import Submission

# Verbs that tell of an object and change nothing that a form shows: exports, log-ins, kicks, tests, downloads.
NOTES = (
    *("export.take", "user.log_in", "user.log_out", "account.kick", "instance.kick", "session.kick"),
    *("push_channel.test", "push_delivery.retry", "logs.ask", "logs.ready", "logs.download"),
)
GONE = (".delete", ".remove")


@dataclass
class Basis:
    """What a request goes by.

    ``posted``: the number that its form was drawn at, None where no form says one. ``start``: the newest number when
    the request began, None for a stranger. ``mine``: numbers that the request itself has written, committed or not;
    ``done``: the last that was committed, 0 without one. ``submission``: the key of the request's row in `Submission`.
    ``stale``: whether a service refused the form as old. ``token``: what forms of the answer carry to count once.
    """

    posted: int | None = None
    start: int | None = None
    mine: list[int] = field(default_factory=list)
    done: int = 0
    submission: int | None = None
    stale: bool = False
    token: str = ""

    @property
    def drawn(self) -> int | None:
        """Number for the forms of the answer: a refused form keeps its own, unless the answer shows what is new."""
        if self.start is None:
            return None
        if self.stale or self.posted is None:
            return max(self.start, self.done)
        return self.done or self.posted


class Stale(Conflict):
    """Refusal of a write that is based on an older version. ``rows``: what was changed since, the oldest first."""

    code = "ChangedMeanwhile"

    def __init__(self, rows: list[AuditRow]) -> None:
        self.rows = rows
        last = rows[-1]
        did = "deleted" if last.verb.endswith(GONE) else "changed"
        when = f"{last.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        super().__init__(
            f"{last.target_name} was {did} by {last.actor} on {when}, after the page or file was made that you "
            "went by. Nothing of yours was written."
        )


current: ContextVar[Basis | None] = ContextVar("versions_basis", default=None)


@contextmanager
def basing(number: int | None) -> Iterator[Basis]:
    """Have the services called in the block refuse objects that were changed after ``number``; None: as around it."""
    outer = current.get() or Basis()
    posted = outer.posted if number is None else number
    basis = Basis(posted, mine=outer.mine, submission=outer.submission)
    token = current.set(basis)
    try:
        yield basis
    finally:
        current.reset(token)


def newest() -> int:
    """Return the number of the newest audit row, 0 without one. One query."""
    return AuditRow.objects.order_by("-id").values_list("id", flat=True).first() or 0


def since(number: int, keys: list[str], kind: str | None = None) -> QuerySet[AuditRow]:
    """Return what was changed about the objects of ``keys`` after ``number``, the oldest first. Nothing is read yet."""
    rows = AuditRow.objects.filter(id__gt=number, target__in=keys).exclude(verb__in=NOTES).order_by("id")
    return rows if kind is None else rows.filter(target_kind=kind)


def check(row: AuditRow) -> None:
    """Refuse a change about to be recorded whose request goes by an older version. Raises `Stale`."""
    basis = current.get()
    if basis is None or basis.posted is None or not row.target or row.verb in NOTES:
        return
    others = list(since(basis.posted, [row.target], row.target_kind).exclude(id__in=basis.mine)[:50])
    if others:
        basis.stale = True
        raise Stale(others)


def recorded(row: AuditRow) -> None:
    """Note a change of the request, in its transaction: the request's submission has written something."""
    basis = current.get()
    if basis is None:
        return
    basis.mine.append(row.pk)
    transaction.on_commit(lambda: setattr(basis, "done", row.pk))
    if basis.submission is not None:
        Submission.objects.filter(pk=basis.submission).update(written=True)
