"""The audit trail: every change made through any door writes one row, chained to the row before it by a keyed hash."""

import contextvars
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone

from console.core import audit_keys, versions
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


@dataclass(frozen=True)
class Matter:
    """A target that is no row of a table, such as all applications together. ``kind``: a word as models have one."""

    kind: str
    name: str
    key: str = ""


CONSOLE = Matter("console", "this console")
Target = models.Model | Matter


@contextmanager
def source_of(address: str) -> Iterator[None]:
    """Note another address than the request's, for what is recorded later than it happened."""
    token = source.set(address)
    try:
        yield
    finally:
        source.reset(token)


def record(
    *,
    actor: Actor,
    verb: str,
    target: Target,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditRow:
    """Write one row about ``target`` within the caller's transaction. Never pass secrets in ``before`` or ``after``.

    Raises `console.core.versions.Stale` when the request goes by an older version of ``target``.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("record() belongs into the transaction of the change.")
    kind, key, name = _named(target)
    row = AuditRow(
        actor=storable(str(actor))[:150],
        source=source.get()[:60],
        verb=verb,
        target_kind=kind[:40],
        target=storable(key)[:64],
        target_name=storable(name)[:200],
        before=_kept(before),
        after=_kept(after),
    )
    return _append(row)


def _append(row: AuditRow) -> AuditRow:
    # Lock on the row that every change raises anyway: the chain has one end, and writers queue for it.
    ConfigVersion.objects.get_or_create(id=1)
    ConfigVersion.objects.select_for_update().get(id=1)
    versions.check(row)
    last, previous = AuditRow.objects.order_by("-id").values_list("id", "digest").first() or (0, "")
    signing = audit_keys.all_keys()[0]
    row.pk = _next_number(last)
    row.at, row.key = timezone.now(), signing.name
    row.digest = digest(signing, previous, row)
    row.save(force_insert=True)
    versions.recorded(row)
    return row


def _next_number(last: int) -> int:
    """Take the number of the row that follows row ``last``, which the row's digest covers; never one used before."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval(s::regclass, greatest(nextval(s::regclass), %s)) "
                "FROM pg_get_serial_sequence('console_auditrow', 'id') AS s",
                [last + 1],
            )
            return int(cursor.fetchone()[0])
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'console_auditrow'")
        used = cursor.fetchone()
    return max(last, used[0] if used else 0) + 1


def digest(key: audit_keys.Key, previous: str, row: AuditRow) -> str:
    """Return the digest of a row, its number included, that follows the row of the digest ``previous``."""
    return key.sign("numbered row", row.pk, *_signed(previous, row))


def digest_without_number(key: audit_keys.Key, previous: str, row: AuditRow) -> str:
    """Return the digest that a row got before digests covered the number."""
    return key.sign("row", *_signed(previous, row))


def _signed(previous: str, row: AuditRow) -> tuple[Any, ...]:
    who = (row.actor, row.source, row.verb)
    what = (row.target_kind, row.target, row.target_name, row.before, row.after)
    return (previous, audit_keys.moment(row.at), *who, *what)


def storable(text: str) -> str:
    """Replace what PostgreSQL does not store: the character NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _named(target: Target) -> tuple[str, str, str]:
    if isinstance(target, Matter):
        return target.kind, target.key, target.name
    return target._meta.model_name or "", str(target.pk), str(target)


def _kept(values: dict[str, Any] | None) -> dict[str, Any]:
    """Return values as both databases store them and give them back."""
    kept: dict[str, Any] = _storable(json.loads(json.dumps(values or {}, default=str)))
    return kept


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
