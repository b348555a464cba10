"""Old rows go from the beginning, and what is left still holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from console.auditing import retention
from console.core import audit
from console.core.audit_chain import Walk, compared
from console.models import AuditCheckpoint, AuditRow
from tests.console.forging import as_owner_of_the_table

pytestmark = pytest.mark.django_db
ACTOR = audit.System("test")
NOW = timezone.now()


def row(monkeypatch: pytest.MonkeyPatch, at: datetime) -> AuditRow:
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: at)
        return audit.record(actor=ACTOR, verb="x", target=audit.CONSOLE)


@pytest.fixture
def year(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[AuditRow]:
    """Rows of the last 100 days, one for every ten, the oldest first; 30 days are kept."""
    settings.AUDIT_KEPT = timedelta(days=30)
    return [row(monkeypatch, NOW - timedelta(days=days)) for days in range(100, -1, -10)]


def test_old_rows_go_and_the_rest_holds(year: list[AuditRow]) -> None:
    assert retention.forget_old(NOW) == 7
    left = list(AuditRow.objects.order_by("pk"))
    assert [each.pk for each in left[:-1]] == [each.pk for each in year[7:]]
    told = left[-1]
    assert (told.verb, told.actor, told.after["rows"]) == ("audit.forget", "worker", 7)
    mark = AuditCheckpoint.objects.get()
    assert (mark.row, mark.digest) == (year[6].pk, year[6].digest)
    walk = Walk().to_the_end()
    assert (walk.problem, walk.checked) == ("", 5)
    assert retention.forget_old(NOW) == 0
    assert compared(f"{year[6].pk}:{year[6].digest}") == "" != compared(f"{year[6].pk}:{'0' * 64}")


def test_what_is_left_out_after_a_checkpoint_shows(year: list[AuditRow]) -> None:
    retention.forget_old(NOW)
    with as_owner_of_the_table():
        year[7].delete()
    assert Walk().to_the_end().broken == year[8].pk


def test_rows_go_in_pieces_and_once_a_day(year: list[AuditRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PIECE", 3)
    assert [retention.forget_old(NOW) for _ in range(4)] == [3, 3, 1, 0]
    assert retention.forget_old(NOW + timedelta(hours=12)) == 0
    assert Walk().to_the_end().problem == ""


def test_a_checkpoint_by_a_newer_key_stands_before_rows_of_the_older_one(
    year: list[AuditRow], settings: Settings
) -> None:
    settings.AUDIT_KEYS = ["own-key-" + "1" * 40]
    assert retention.forget_old(NOW) == 7
    walk = Walk().to_the_end()
    assert (walk.problem, walk.checked) == ("", 5)


def test_nothing_goes_unless_that_is_set(year: list[AuditRow], settings: Settings) -> None:
    settings.AUDIT_KEPT = timedelta(0)
    assert retention.forget_old(NOW) == 0


def test_the_newest_row_stays(year: list[AuditRow]) -> None:
    assert retention.forget_old(NOW + timedelta(days=400)) == 10
    assert Walk().to_the_end().problem == ""


def test_rows_that_do_not_hold_are_kept_as_evidence(year: list[AuditRow]) -> None:
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk=year[2].pk).update(actor="somebody else")
    assert retention.forget_old(NOW) == 0
    assert AuditRow.objects.count() == 11


def test_an_old_row_after_a_newer_one_waits(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A clock that was set back: rows go from the beginning only."""
    settings.AUDIT_KEPT = timedelta(days=30)
    for days in (50, 10, 50):
        row(monkeypatch, NOW - timedelta(days=days))
    assert retention.forget_old(NOW) == 1
    assert Walk().to_the_end().problem == ""


def test_a_walk_goes_on_when_rows_before_it_were_deleted_meanwhile(year: list[AuditRow]) -> None:
    walk = Walk()
    walk.step(2)
    retention.forget_old(NOW)
    assert walk.to_the_end().problem == ""


def test_no_row_at_all_beside_a_checkpoint_shows(year: list[AuditRow]) -> None:
    retention.forget_old(NOW)
    with as_owner_of_the_table():
        AuditRow.objects.all().delete()
    assert "are missing" in Walk().to_the_end().problem
