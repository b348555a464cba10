"""Calls of machines: signed for exactly this request, by a key that the console knows."""

import time
from typing import Any

import pytest

from console.models import Gateway, MachineKey
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.responses import Response

pytestmark = pytest.mark.django_db
STATUS = {"open_flows": 3, "envoy": "running", "tunnels": {}}


@pytest.fixture
def machine(gateway: Gateway) -> Machine:
    return Machine("gateway", gateway.pk)


def refusal(response: Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_signed_call_is_answered_and_noted(machine: Machine) -> None:
    assert machine.call("gateway/status", STATUS).json() == {"interval": 5, "logs": None}
    gateway = Gateway.objects.get(pk=machine.id)
    assert gateway.open_flows == 3
    assert gateway.is_heard


def test_an_unsigned_call_is_refused(machine: Machine) -> None:
    response = machine.client.post("/edge/v1/gateway/status", STATUS, content_type="application/json")
    assert refusal(response) == (401, "SignatureMissing")


@pytest.mark.parametrize(
    "claims", [{"htu": "/edge/v1/flows"}, {"htm": "GET"}, {"bsh": "x" * 43}], ids=["path", "method", "body"]
)
def test_a_signature_for_another_request_is_refused(machine: Machine, claims: dict[str, str]) -> None:
    assert refusal(machine.call("gateway/status", STATUS, **claims)) == (401, "SignatureInvalid")


def test_a_machine_whose_clock_is_off_is_told_so(machine: Machine) -> None:
    hour_ago = int(time.time()) - 3600
    response = machine.call("gateway/status", STATUS, iat=hour_ago, exp=hour_ago + 60)
    assert refusal(response) == (401, "ClockSkew")


def test_another_machines_key_is_refused(machine: Machine) -> None:
    other = Machine("gateway", GatewayFactory().pk)
    other.id = machine.id
    assert refusal(other.call("gateway/status", STATUS)) == (401, "SignatureInvalid")


def test_a_removed_machine_is_refused(machine: Machine) -> None:
    MachineKey.objects.all().delete()
    assert refusal(machine.call("gateway/status", STATUS)) == (401, "MachineUnknown")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_broken_tokens_are_refused(machine: Machine, token: str) -> None:
    response = machine.client.post(
        "/edge/v1/gateway/status",
        STATUS,
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )
    assert response.status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"applied_version": -1},
        {"applied_version": 2**70},
        {"applied_version": "all"},
        {"applied_version": None},
        {"wait": 26},
    ],
)
def test_bad_values_of_what_decides_are_named(machine: Machine, change: dict[str, Any]) -> None:
    response = machine.call("gateway/config", {"applied_version": 0} | change)
    assert response.status_code == 422
    assert next(iter(change)) in response.json()["error"]["message"]


def test_renewed_certificates_are_for_the_same_names(machine: Machine) -> None:
    answer = machine.call("renew", {"csrs": machine.csrs()})
    assert set(answer.json()["certificates"]) == {"tunnel", "access"}
