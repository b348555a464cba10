"""The audit trail: every change made through any door writes one row, chained to the row before it by a hash."""

import contextvars
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone

from console.core.models.access import User
from console.core.models.audit import AuditRow
from console.core.models.version import ConfigVersion

# Address that the request being served came from; the middleware sets it, commands and the worker have none.
source: contextvars.ContextVar[str] = contextvars.ContextVar("audit_source", default="")


@dataclass(frozen=True)
class System:
    """An actor that is no person: the worker, a command, a machine."""

    name: str

    def __str__(self) -> str:
        return self.name


Actor = User | System


def _digest(previous: str, row: AuditRow) -> str:
    fields = [
        row.at.isoformat(),
        row.actor,
        row.source,
        row.verb,
        row.target_kind,
        row.target,
        row.target_name,
    ]
    text = json.dumps([previous, *fields, row.before, row.after], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    *,
    actor: Actor,
    verb: str,
    target: models.Model,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditRow:
    """Write one row about ``target`` within the caller's transaction. Never pass secrets in ``before`` or ``after``."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("record() belongs into the transaction of the change.")
    # Lock on the row that every change raises anyway: the chain has one end, and writers queue for it.
    ConfigVersion.objects.get_or_create(id=1)
    ConfigVersion.objects.select_for_update().get(id=1)
    previous = AuditRow.objects.order_by("-id").values_list("digest", flat=True).first() or ""
    row = AuditRow(
        at=timezone.now(),
        actor=str(actor),
        source=source.get(),
        verb=verb,
        target_kind=target._meta.model_name or "",
        target=str(target.pk),
        target_name=str(target)[:200],
        before=json.loads(json.dumps(before or {}, default=str)),
        after=json.loads(json.dumps(after or {}, default=str)),
    )
    row.digest = _digest(previous, row)
    row.save(force_insert=True)
    return row


def first_broken_row() -> AuditRow | None:
    """Return the first row whose digest does not follow from the row before; None when the chain is whole."""
    previous = ""
    for row in AuditRow.objects.order_by("id").iterator():
        if row.digest != _digest(previous, row):
            return row
        previous = row.digest
    return None
