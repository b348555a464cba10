"""What gateways report, and what machines say when they enroll, never makes a call fail, however absurd it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from console.core import audit
from console.machines import config, enrollment, metrics, reported
from console.models import CutoverConfirmation, Gateway
from edge.protocol.enrollment import Enroll
from edge.protocol.reports import GatewayStatus
from tests.console import absurd
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
STATUS = {"version": "1", "applied_version": 1, "open_flows": 1, "envoy": "running", "tunnels": {}}
STORED = ("software", "open_flows", "envoy_state")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "causeway.reported"]


def dropped(field: str) -> float:
    return metrics.registry.get_sample_value("causeway_reported_dropped_total", {"field": field}) or 0


def stored(gateway: Gateway) -> dict[str, Any]:
    gateway.refresh_from_db()
    return {name: getattr(gateway, name) for name in STORED}


@pytest.mark.parametrize("field", absurd.reported(GatewayStatus))
def test_no_status_is_refused_for_what_it_reports(
    machine: Machine, gateway: Gateway, viewer_client: Client, field: str
) -> None:
    for value in absurd.ABSURD:
        answer = machine.call("gateway/status", absurd.put(STATUS, field, value))
        assert answer.status_code == 200 and answer.json()["interval"] > 0
        found = stored(gateway)
        assert all(absurd.makes_sense(each) for each in found.values()), found
    assert viewer_client.get("/gateways/").status_code == 200


def test_everything_in_a_status_is_reported() -> None:
    assert absurd.reported(GatewayStatus) == list(GatewayStatus.__struct_fields__)


@settings(max_examples=40)
@given(status=st.dictionaries(st.sampled_from([*STATUS, "new"]), absurd.JSON))
def test_no_status_makes_the_console_fail(machine: Machine, gateway: Gateway, status: dict[str, Any]) -> None:
    assert machine.call("gateway/status", status).status_code == 200
    assert all(absurd.makes_sense(each) for each in stored(gateway).values())


def test_a_poll_confirms_and_is_answered_whatever_it_says_to_have_cut(
    machine: Machine, gateway: Gateway
) -> None:
    for value in absurd.ABSURD:
        config.publish(cut="a test")
        version = config.current().version
        body = absurd.put({"applied_version": version}, "cut_flows", value)
        answer = machine.call("gateway/config", body)
        assert (answer.status_code, answer.json()) == (200, {"unchanged": True, "version": version})
        confirmation = CutoverConfirmation.objects.get(cutover__version=version)
        assert confirmation.confirmed_at is not None and absurd.makes_sense(confirmation.flows_cut)
    answer = machine.call("gateway/config", {"applied_version": 0, "cut_flows": -1})
    assert answer.json()["gateway"]["id"] == gateway.pk, "the configuration arrives"


def test_a_machine_enrolls_whatever_it_says_of_itself(machine: Machine, gateway: Gateway) -> None:
    said = absurd.reported(Enroll)
    assert said == ["hostname", "version", "private_address", "system"]
    for value in absurd.ABSURD:
        code, _ = enrollment.code_create(kind="gateway", target=gateway.pk, actor=audit.System("test"))
        body = {"code": code, "kind": "gateway", "csrs": machine.csrs()}
        for field in said:
            body = absurd.put(body, field, value)
        answer = machine.client.post("/edge/v1/enroll", json.dumps(body), content_type="application/json")
        assert (answer.status_code, answer.json().get("id")) == (200, gateway.pk)
        assert all(absurd.makes_sense(each) for each in stored(gateway).values())


@pytest.mark.parametrize("field", ["code", "kind", "csrs"])
def test_what_decides_on_an_enrollment_is_refused_when_it_is_absurd(machine: Machine, field: str) -> None:
    for value in absurd.ABSURD:
        body = absurd.put({"code": "ABCD-EFGH-JKMN", "kind": "gateway", "csrs": {}}, field, value)
        answer = machine.client.post("/edge/v1/enroll", json.dumps(body), content_type="application/json")
        assert 400 <= answer.status_code < 500


def test_a_value_is_counted_each_time_and_named_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    before = dropped("open_flows")
    for value in (-1, -2, -3):
        machine.call("gateway/status", STATUS | {"open_flows": value})
    assert dropped("open_flows") == before + 3
    (line,) = lines(caplog)
    assert line == f"{machine.id}: open_flows makes no sense, so it is not measured: -1"


def test_what_was_not_measured_is_neither_counted_nor_named(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    before = dropped("open_flows")
    machine.call("gateway/status", STATUS | {"open_flows": None})
    machine.call("gateway/status", absurd.put(STATUS, "open_flows", absurd.MISSING))
    assert dropped("open_flows") == before and not lines(caplog)


def test_a_value_in_the_log_is_short_and_on_one_line(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.call("gateway/status", STATUS | {"version": "x\n" * 2**19, "envoy": "\nforged: a line"})
    assert len(lines(caplog)) == 2
    assert all(len(line) < 200 and "\n" not in line for line in lines(caplog))


def test_fields_of_a_newer_gateway_are_ignored_and_named_once(
    machine: Machine, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        answer = machine.call("gateway/status", STATUS | {"open_flows": 7, f"new{number}": 1})
        assert answer.status_code == 200
    assert stored(gateway)["open_flows"] == 7
    (line,) = lines(caplog)
    assert line.startswith(machine.id) and "new0" in line


def test_what_was_named_is_forgotten_before_it_fills_the_memory() -> None:
    for number in range(reported.MOST_NAMED + 10):
        reported._is_news(f"server-{number}", "hostname")
    assert len(reported._named) == reported.MOST_NAMED


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "NaN", '"text"', "[" * 10**5, "9" * 5000, "\udcff"])
def test_a_body_that_is_no_message_at_all_is_refused(machine: Machine, body: str) -> None:
    data = body.encode(errors="surrogateescape")
    for path in ("gateway/status", "gateway/config"):
        answer = machine.call(path, data)
        assert 400 <= answer.status_code < 500 and answer.json()["error"]["message"]


def test_halves_of_characters_in_a_signature_are_refused(machine: Machine) -> None:
    assert machine.call("gateway/status", STATUS, htm="\ud800").status_code == 401
    machine.id = "gateway-\ud800"
    assert machine.call("gateway/status", STATUS).status_code == 401
