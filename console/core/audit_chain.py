"""Verification of the audit's chain: row by row, each digest follows from the row before, by a key of this console.

What a broken chain shows: rows altered, added, moved, renumbered or left out, by anybody without the key. Rows cut off
at the end show only against a head that was kept elsewhere (``manage.py verify_audit --head``).
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console.core import audit, audit_keys
from console.core.models.audit import AuditCheckpoint, AuditRow

Kind = AuditCheckpoint.Kind
PIECE = 2000
# Time after the start of the keyed chain in which processes of release 0.1 may still have written rows.
OVERLAP = timedelta(days=1)
# Without the key nobody makes a digest by the second rule either: rows of before the first rule have one, no others.
RULES = (audit.digest, audit.digest_without_number)
UNREADABLE = "the row's values cannot be read"


def digest_without_key(previous: str, row: AuditRow) -> str:
    """Return the digest that release 0.1 gave a row."""
    who = [row.at.isoformat(), row.actor, row.source, row.verb]
    fields = [previous, *who, row.target_kind, row.target, row.target_name, row.before, row.after]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def checkpoint_make(kind: str, row: AuditRow, now: datetime) -> AuditCheckpoint:
    """Sign that ``row`` is where the chain goes on from."""
    key = audit_keys.all_keys()[0]
    signature = audit_keys.checkpoint_signature(key, kind, row.pk, row.digest, now)
    return AuditCheckpoint.objects.create(
        kind=kind, row=row.pk, digest=row.digest, made_at=now, key=key.name, signature=signature
    )


def newest(kind: str) -> AuditCheckpoint | None:
    """Return the checkpoint of a kind that stands for the most rows."""
    return AuditCheckpoint.objects.filter(kind=kind).order_by("-row", "-id").first()


@dataclass
class Walk:
    """One way along the chain, in pieces. ``number``, ``digest``: the row that holds last; ``checked``: how many hold.

    ``problem``: why the next row does not hold, a sentence; ``broken``: its number, 0 for a checkpoint.
    """

    checked: int = 0
    number: int = 0
    digest: str = ""
    problem: str = ""
    broken: int = 0
    _keys: dict[str, audit_keys.Key] = field(
        default_factory=lambda: {key.name: key for key in audit_keys.all_keys()}
    )
    _newest: str = ""
    _latest: datetime | None = None
    _start: AuditCheckpoint | None = None
    _forgotten: int = 0

    @property
    def head(self) -> str:
        """Head as people keep it elsewhere: the last row's number and digest."""
        return f"{self.number}:{self.digest}"

    def step(self, limit: int = PIECE) -> bool:
        """Verify up to ``limit`` rows; return whether there may be more."""
        # Rows read before the checkpoint: one that was deleted in between is then covered by the checkpoint.
        following = AuditRow.objects.order_by("pk")
        if self.number:
            following = following.filter(pk__gt=self.number)
        try:
            rows = list(following[:limit])
        except (ValueError, RecursionError):
            # Values that somebody wrote and Python does not read; rows before them are verified one by one.
            return (
                self._fails(following.values_list("pk", flat=True)[0], UNREADABLE)
                if limit == 1
                else self.step(1)
            )
        forgotten, self._start = newest(Kind.FORGOTTEN), newest(Kind.START)
        if forgotten is not None and forgotten.row > max(self.number, self._forgotten):
            return self._begin_after(forgotten)
        if self._start is not None and (why := self._false(self._start)):
            return self._fails(0, why)
        for row in rows:
            try:
                why = self._wrong(row)
            except RecursionError:
                why = UNREADABLE
            if why:
                return self._fails(row.pk, why)
            self.number, self.digest, self.checked = row.pk, row.digest, self.checked + 1
        if len(rows) == limit:
            return True
        needed = self._forgotten + 1 if self._forgotten else self._start.row if self._start else 0
        if self.number < needed:
            return self._fails(0, f"rows after row {self.number} are missing")
        return False

    def to_the_end(self, up_to: int | None = None) -> "Walk":
        """Verify all rows, or those up to a number; return the walk itself."""
        while self.step(PIECE if up_to is None else max(1, min(PIECE, up_to - self.number))):
            if up_to is not None and self.number >= up_to:
                break
        return self

    def _fails(self, broken: int, why: str) -> bool:
        self.problem, self.broken = why, broken
        return False

    def _begin_after(self, forgotten: AuditCheckpoint) -> bool:
        if why := self._false(forgotten):
            return self._fails(0, why)
        left = AuditRow.objects.filter(pk__lte=forgotten.row).order_by("pk").first()
        if left is not None:
            return self._fails(
                left.pk, f"rows up to {forgotten.row} were deleted, so that nobody wrote the row"
            )
        self.number, self.digest, self._forgotten = forgotten.row, forgotten.digest, forgotten.row
        return True

    def _false(self, point: AuditCheckpoint) -> str:
        if (key := self._keys.get(point.key)) is None:
            return f"the checkpoint at row {point.row} has a key that this console does not have"
        says = audit_keys.checkpoint_signature(key, point.kind, point.row, point.digest, point.made_at)
        return "" if _same(says, point.signature) else f"the checkpoint at row {point.row} is forged"

    def _wrong(self, row: AuditRow) -> str:
        """Say what is wrong with the row that comes next; "" when the row holds."""
        if row.pk < 1:
            return f"row {row.pk} stands before the first row of the chain, so that nobody wrote the row"
        if row.key == "":
            if not self._may_have_no_key(row):
                return "the row has no key, though the chain has one by then"
            possible = [digest_without_key(self.digest, row)]
        elif (key := self._keys.get(row.key)) is None:
            return f"the row's key ({row.key}) is none that this console has"
        elif self._is_older(row.key):
            return "the row has an older key than a row before"
        else:
            self._newest, self._latest = row.key, max(row.at, self._latest or row.at)
            possible = [rule(key, self.digest, row) for rule in RULES]
        if not any(_same(each, row.digest) for each in possible):
            return "the row was altered or renumbered, or the row before was altered or left out"
        if self._start is not None and row.pk == self._start.row and row.digest != self._start.digest:
            return "the row is not the one that the keyed chain began after"
        return ""

    def _may_have_no_key(self, row: AuditRow) -> bool:
        if self._start is None:
            return False
        until = self._start.made_at + OVERLAP
        return row.pk <= self._start.row or (
            row.at <= until and (self._latest is None or self._latest <= until)
        )

    def _is_older(self, key: str) -> bool:
        """Tell whether a key stands behind the one that rows had last: keys are replaced by newer ones alone."""
        order = list(self._keys)
        return self._newest not in ("", key) and order.index(key) > order.index(self._newest)


def compared(head: str) -> str:
    """Compare a head that was kept elsewhere with the table; return what is wrong, or ""."""
    number, _, kept = head.strip().partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and len(kept) == 64):
        return "the head must be a number and a hash, such as 1234:0f3a… with all 64 digits"
    digest = AuditRow.objects.filter(pk=int(number)).values_list("digest", flat=True).first()
    forgotten = newest(Kind.FORGOTTEN)
    if digest is not None:
        return "" if digest == kept else f"row {number} is not the one that was kept"
    if forgotten is None or forgotten.row < int(number):
        return f"row {number}, which was kept as a head, is missing"
    same = forgotten.row != int(number) or forgotten.digest == kept
    return "" if same else f"row {number}, deleted by now, was not the one that was kept"
