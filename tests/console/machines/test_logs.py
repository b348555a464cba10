"""Logs of machines: asked for by people, sent by the machine piece by piece, fetched, let go."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from console.core import audit
from console.core.errors import Conflict, NotFound
from console.machines import logs
from console.models import AuditRow, Gateway, LogExport, LogPart
from edge.protocol.reports import PART_BYTES
from tests.console.machine import Machine
from tests.responses import Response

pytestmark = pytest.mark.django_db
ACTOR = audit.System("test")
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}
STATUS = {"version": "1", "applied_version": 0, "open_flows": 0, "envoy": "running", "tunnels": {}}


def url(machine: Machine, action: str = "") -> str:
    return f"/machines/{machine.id}/logs/{action}"


def sends(machine: Machine, export: str, part: int, data: bytes, *, last: bool = False) -> Response:
    body = {"export": export, "part": part, "last": last, "data": base64.b64encode(data).decode()}
    return machine.call("logs", body)


def asked(machine: Machine) -> LogExport:
    return logs.export_ask(machine=machine.id, actor=ACTOR)


def ready(machine: Machine, data: bytes = b"archive") -> LogExport:
    export = asked(machine)
    assert sends(machine, export.pk, 0, data, last=True).status_code == 200
    export.refresh_from_db()
    return export


@pytest.mark.parametrize("htmx", [False, True])
def test_asked_sent_in_pieces_and_fetched(operator_client: Client, machine: Machine, htmx: bool) -> None:
    headers = HTMX if htmx else {}
    assert "Nobody has asked" in operator_client.get(url(machine), headers=headers).text
    assert machine.call("gateway/status", STATUS).json()["logs"] is None
    answer = operator_client.post(url(machine, "ask/"), headers=headers, follow=True)
    assert answer.status_code == 200 and "Asked" in answer.text
    export = LogExport.objects.get()
    assert machine.call("gateway/status", STATUS).json()["logs"] == export.pk
    assert sends(machine, export.pk, 0, b"one ").status_code == 200
    assert "Being made" in operator_client.get(url(machine, "state/"), headers=headers).text
    assert sends(machine, export.pk, 0, b"one ").status_code == 200, "begun anew"
    assert sends(machine, export.pk, 1, b"two").status_code == 200
    assert sends(machine, export.pk, 1, b"two").status_code == 200, "the answer was lost, it is sent again"
    assert sends(machine, export.pk, 3, b"x").status_code == 400, "one is missing"
    assert sends(machine, export.pk, 2, b" three", last=True).status_code == 200
    assert machine.call("gateway/status", STATUS).json()["logs"] is None
    page = operator_client.get(url(machine), headers=headers).text
    link = url(machine, f"{export.pk}.tar.gz")
    assert "Ready" in page and link in page
    answer = operator_client.get(link)
    assert answer.getvalue() == b"one two three"
    assert answer["Content-Length"] == "13" and answer["Content-Type"] == "application/gzip"
    assert "no-store" in answer["Cache-Control"]
    verbs = list(
        AuditRow.objects.filter(verb__startswith="logs.").order_by("id").values_list("verb", "actor")
    )
    assert verbs == [("logs.ask", "operator"), ("logs.ready", machine.id), ("logs.download", "operator")]


def test_one_at_a_time(operator_client: Client, machine: Machine) -> None:
    asked(machine)
    with pytest.raises(Conflict, match="asked for already"):
        asked(machine)
    assert operator_client.post(url(machine, "ask/")).status_code == 409
    with pytest.raises(IntegrityError), transaction.atomic():
        LogExport.objects.create(machine=machine.id, name="x")


def test_only_the_machine_that_was_asked_may_send(machine: Machine) -> None:
    from tests.console.factories import GatewayFactory

    other = Machine("gateway", GatewayFactory().pk)
    export = asked(machine)
    assert sends(other, export.pk, 0, b"x").status_code == 404
    failed = {"export": export.pk, "message": "no"}
    assert other.call("logs/failed", failed).status_code == 404
    assert LogExport.objects.get().state == "asked" and not LogPart.objects.exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"data": "not base64!"}, 400),
        ({"data": "A" * (PART_BYTES * 4 // 3 + 8)}, 422),
        ({"part": -1}, 422),
    ],
)
def test_a_bad_piece_is_refused(machine: Machine, change: dict[str, Any], status: int) -> None:
    body = {"export": asked(machine).pk, "part": 0, "last": False, "data": ""}
    assert machine.call("logs", body | change).status_code == status
    assert not LogPart.objects.exists()


def test_a_failure_is_told_in_the_machines_words(operator_client: Client, machine: Machine) -> None:
    export = asked(machine)
    machine.call("logs/failed", {"export": export.pk, "message": "No space left on device."})
    page = operator_client.get(url(machine)).text
    assert "Failed" in page and "No space left on device." in page
    assert sends(machine, export.pk, 0, b"late").status_code == 404
    asked(machine)


@pytest.mark.parametrize("begun", [False, True])
def test_a_machine_that_falls_silent_is_given_up(
    operator_client: Client, machine: Machine, begun: bool
) -> None:
    export = asked(machine)
    if begun:
        sends(machine, export.pk, 0, b"half")
    assert logs.exports_age() == 0
    past = timezone.now() - logs.SILENCE - timedelta(seconds=1)
    LogExport.objects.update(asked_at=past, heard_at=past if begun else None)
    assert logs.exports_age() == 1
    assert "did not answer within 2 minutes" in operator_client.get(url(machine)).text
    assert not LogPart.objects.exists()


def test_an_archive_is_let_go_after_its_time(operator_client: Client, machine: Machine) -> None:
    export = ready(machine)
    assert logs.exports_age() == 0
    LogExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    link = url(machine, f"{export.pk}.tar.gz")
    assert "Expired" in operator_client.get(url(machine)).text, "also before the worker has noticed"
    assert operator_client.get(link).status_code == 409
    assert logs.exports_age() == 1
    assert not LogPart.objects.exists()
    assert "Expired" in operator_client.get(url(machine)).text


def test_one_that_is_too_large_fails(machine: Machine, settings: Settings) -> None:
    settings.LOGS_LARGEST_BYTES = 10
    export = asked(machine)
    assert sends(machine, export.pk, 0, b"12345678").status_code == 200
    sends(machine, export.pk, 1, b"12345678")
    export.refresh_from_db()
    assert export.state == "failed" and not LogPart.objects.exists()


def test_the_oldest_gives_way_when_all_are_too_much(machine: Machine, settings: Settings) -> None:
    settings.LOGS_STORED_BYTES = 10
    old, new = ready(machine, b"1234567"), ready(machine, b"1234567")
    old.refresh_from_db()
    assert (old.state, new.state) == ("expired", "ready")
    assert LogPart.objects.get().export_id == new.pk


def test_archives_on_their_way_count_as_well(machine: Machine, settings: Settings) -> None:
    from tests.console.factories import GatewayFactory

    settings.LOGS_STORED_BYTES = 10
    other = Machine("gateway", GatewayFactory().pk)
    one, two = asked(machine), asked(other)
    assert sends(machine, one.pk, 0, b"1234567").status_code == 200
    assert sends(other, two.pk, 0, b"1234567").status_code == 200
    two.refresh_from_db()
    assert two.state == "failed" and "larger than 0 MiB" in two.message
    assert LogPart.objects.get().export_id == one.pk


def test_of_a_machine_only_the_newest_archive_is_kept(operator_client: Client, machine: Machine) -> None:
    old, new = ready(machine), ready(machine)
    old.refresh_from_db()
    assert (old.state, new.state) == ("expired", "ready")
    assert operator_client.get(url(machine, f"{old.pk}.tar.gz")).status_code == 409
    assert LogPart.objects.get().export_id == new.pk


def test_a_machine_that_never_comes_to_an_end_is_given_up(operator_client: Client, machine: Machine) -> None:
    export = asked(machine)
    sends(machine, export.pk, 0, b"x")
    LogExport.objects.update(asked_at=timezone.now() - logs.LONGEST - timedelta(seconds=1))
    assert logs.exports_age() == 1
    assert "did not send its logs within 30 minutes" in operator_client.get(url(machine)).text
    assert not LogPart.objects.exists()


def test_an_archive_that_begins_anew_again_and_again_is_slowed(machine: Machine, settings: Settings) -> None:
    settings.LOGS_LARGEST_BYTES = 100
    export = asked(machine)
    answers = [sends(machine, export.pk, 0, b"x" * 90) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert int(answers[-1]["Retry-After"]) >= 1
    logs.received.forget()  # a minute later
    assert sends(machine, export.pk, 1, b"y", last=True).status_code == 200


def test_an_empty_piece_is_no_piece(machine: Machine) -> None:
    export = asked(machine)
    answer = sends(machine, export.pk, 0, b"")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "data")


@pytest.mark.parametrize("data", ["ä", "\ud800", "💥", "QQ==ä", "Q Q", "QQ", "\0", "QQ==\n"])
def test_what_is_no_base64_is_refused_by_name(machine: Machine, data: str) -> None:
    body = {"export": asked(machine).pk, "part": 0, "last": False, "data": data}
    answer = machine.call("logs", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["field"] == "data"


def test_what_is_not_enrolled_has_no_logs(gateway: Gateway) -> None:
    with pytest.raises(NotFound):
        logs.export_ask(machine=gateway.pk, actor=ACTOR)
