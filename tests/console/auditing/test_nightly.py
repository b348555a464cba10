"""Verification by the worker: each night the whole chain, each minute its end; a finding is told of once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.test import Client
from pytest_django import Settings

from console import ports
from console.auditing import check, kept_head
from console.models import AuditRow, PushMessage
from console.push import services as push
from tests.console.auditing.chain import ACTOR, rows, verify
from tests.console.forging import as_owner_of_the_table

pytestmark = pytest.mark.django_db


@pytest.fixture
def nightly(settings: Settings, tmp_path: Path) -> check.Nightly:
    settings.EPOCH_STAMPS = tmp_path
    push.channel_create(name="duty", kind="email", recipients="duty@corp.example", actor=ACTOR)
    return check.Nightly()


def night(nightly: check.Nightly) -> PushMessage | None:
    nightly._due = 0.0
    while not nightly.turn():
        pass
    return PushMessage.objects.order_by("created_at").last()


def test_nobody_is_told_of_nights_without_a_finding(nightly: check.Nightly) -> None:
    rows()
    assert night(nightly) is None
    assert nightly.turn() == 0, "the next one is tomorrow"


def test_a_row_that_does_not_hold_is_told_of_and_logged(
    nightly: check.Nightly, caplog: pytest.LogCaptureFixture, viewer_client: Client
) -> None:
    found = rows()
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk=found[1].pk).update(actor="somebody else")
    message = night(nightly)
    assert message is not None and message.title == "The console's audit does not hold"
    assert f"Row {found[1].pk} does not hold" in message.text and message.url.endswith("/audit/")
    assert message.text in caplog.text
    page = viewer_client.get("/audit/").text
    assert "The audit does not hold" in page and f"Row {found[1].pk} does not hold" in page
    assert AuditRow.objects.get(verb="audit.verify_failed").after == {"problem": message.text}


def test_the_next_night_tells_of_rows_cut_off_since_and_then_goes_on(nightly: check.Nightly) -> None:
    found = rows()
    assert night(nightly) is None
    with as_owner_of_the_table():
        found[-1].delete()
    with pytest.raises(CommandError, match="cut off"):
        verify()
    message = night(nightly)
    assert message is not None and "cut off" in message.text
    assert night(nightly) == message
    assert verify()


def test_the_kept_head_is_a_file_of_its_owner_alone(nightly: check.Nightly) -> None:
    found = rows()
    night(nightly)
    file = kept_head.file()
    assert file is not None and file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == f"{found[-1].pk}:{found[-1].digest}\n"


def test_the_head_is_told_every_night_where_that_is_wanted(
    nightly: check.Nightly, settings: Settings
) -> None:
    settings.AUDIT_HEAD_PUSHED = True
    found = rows()
    message = night(nightly)
    assert message is not None and f"{found[-1].pk}:{found[-1].digest}" in message.text


def messages() -> list[str]:
    return list(PushMessage.objects.order_by("created_at").values_list("text", flat=True))


def test_the_head_is_kept_each_minute_and_rows_cut_off_since_are_told_of(
    nightly: check.Nightly, django_assert_num_queries: Callable[[int], Any]
) -> None:
    found = rows()
    assert nightly.minute() == 1
    assert kept_head.read() == f"{found[-1].pk}:{found[-1].digest}"
    with django_assert_num_queries(1):
        assert nightly.minute() == 0, "no new rows"
    cut = found[-1].pk
    with as_owner_of_the_table():
        found[-1].delete()
    rows("after the cut")
    assert nightly.minute() == 1
    (told,) = messages()
    assert f"row {cut}, which was kept as a head, is missing" in told
    assert nightly.minute() == 0 and messages() == [told]
    assert kept_head.read() == check.head() and verify()


def test_a_disk_that_takes_no_head_does_not_make_a_message_each_minute(
    nightly: check.Nightly, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rows()
    nightly.minute()
    monkeypatch.setattr(kept_head, "keep", lambda head: None)
    with as_owner_of_the_table():
        found[-1].delete()
    for _ in range(3):
        nightly.minute()
    assert len(messages()) == 1


def test_all_rows_cut_off_are_told_of(nightly: check.Nightly) -> None:
    rows()
    nightly.minute()
    with as_owner_of_the_table():
        AuditRow.objects.all().delete()
    nightly.minute()
    assert len(messages()) == 1 and "cut off" in messages()[0]


def test_the_worker_keeps_the_head_each_minute(nightly: check.Nightly) -> None:
    found = rows()
    job = ports.jobs["keep the audit's head"]
    assert job.every == timedelta(minutes=1)
    job.run()
    assert kept_head.read() == f"{found[-1].pk}:{found[-1].digest}"
