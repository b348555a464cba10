"""Rows of release 0.1 through the migration that gives the chain a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from console.core import audit
from console.core.audit_chain import Walk, digest_without_key
from console.models import AuditCheckpoint, AuditRow

BEFORE = ("console", "0010_gateway_upgrades")


def migrate(*targets: tuple[str, str]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets))
    return executor.loader.project_state(list(targets)).apps


def newest() -> None:
    migrate(*MigrationExecutor(connection).loader.graph.leaf_nodes())


@pytest.fixture
def old(transactional_db: None) -> Iterator[Any]:
    """Models of before; in the end the newest tables are back."""
    yield migrate(BEFORE)
    newest()


def test_rows_without_a_key_hold_up_to_a_signed_mark(old: Any) -> None:
    model, previous = old.get_model("console", "AuditRow"), ""
    for verb in ("one", "two"):
        values = {"at": timezone.now(), "actor": "anna", "verb": verb, "target_kind": "x", "target": "1"}
        row = model(**values, before={}, after={"number": 1})
        row.digest = previous = digest_without_key(previous, row)
        row.save()
    newest()
    mark = AuditCheckpoint.objects.get()
    assert (mark.kind, mark.row, mark.digest) == ("start", row.pk, row.digest)
    with transaction.atomic():
        audit.record(actor=audit.System("test"), verb="x.y", target=audit.CONSOLE)
    walk = Walk().to_the_end()
    assert (walk.problem, walk.checked) == ("", 3)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditRow.objects.filter(pk=row.pk).update(actor="ben")


def test_a_console_without_rows_has_no_mark(old: Any) -> None:
    newest()
    assert not AuditCheckpoint.objects.exists()
    assert Walk().to_the_end().problem == ""
