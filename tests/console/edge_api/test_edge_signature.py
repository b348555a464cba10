"""Calls of machines: signed for exactly this request, by a key that the console knows."""

import time
from typing import Any

import pytest

from console.machines import retention
from console.models import Gateway, MachineKey, SignedCall
from tests.at_once import at_once
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.queries import queries
from tests.roaming.answers import refusal

pytestmark = pytest.mark.django_db
STATUS = {"open_flows": 3, "envoy": "running", "tunnels": {}}


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


@pytest.mark.parametrize("life", [61, 3600, 10**9, 0, -30])
def test_a_signature_lives_a_minute_at_most(machine: Machine, life: int) -> None:
    now = int(time.time())
    response = machine.call("gateway/status", STATUS, iat=now, exp=now + life)
    assert refusal(response) == (401, "SignatureTooLong")
    assert not SignedCall.objects.exists()


@pytest.mark.parametrize("skew", [-59, 0, 59])
def test_a_signature_of_a_minute_is_taken_by_any_clock_within_a_minute(machine: Machine, skew: int) -> None:
    """As machines of release 0.1 sign."""
    then = int(time.time()) + skew
    assert machine.call("gateway/status", STATUS, iat=then, exp=then + 60).status_code == 200


def test_a_call_counts_once(machine: Machine) -> None:
    assert machine.call("gateway/status", STATUS, jti="a call").status_code == 200
    Gateway.objects.update(open_flows=9)
    assert refusal(machine.call("gateway/status", STATUS, jti="a call")) == (401, "SignatureUsed")
    assert Gateway.objects.get(pk=machine.id).open_flows == 9, "the repeated call changed nothing"
    again = Machine("gateway", GatewayFactory().pk)
    assert again.call("gateway/status", STATUS, jti="a call").status_code == 200, "another machine's"


def test_a_refused_signature_uses_up_no_jti(machine: Machine) -> None:
    """Nobody can have a machine's call refused by making another one of its jti."""
    machine.call("gateway/status", STATUS, jti="a call", htu="/edge/v1/flows")
    stranger = Machine("gateway", GatewayFactory().pk)
    stranger.id = machine.id
    stranger.call("gateway/status", STATUS, jti="a call")
    assert machine.call("gateway/status", STATUS, jti="a call").status_code == 200


@pytest.mark.parametrize("jti", [None, "", "x" * 65, "\0", "é", 7, ["x"]])
def test_a_jti_of_no_sense_is_refused(machine: Machine, jti: object) -> None:
    assert refusal(machine.call("gateway/status", STATUS, jti=jti)) == (401, "SignatureInvalid")


@pytest.mark.parametrize("claim", ["iat", "exp"])
@pytest.mark.parametrize("value", [None, "soon", [], {}, float("inf"), float("nan"), 10**400, True])
def test_a_time_that_is_none_is_refused(machine: Machine, claim: str, value: object) -> None:
    assert machine.call("gateway/status", STATUS, **{claim: value}).status_code == 401


def test_remembering_costs_one_query(machine: Machine) -> None:
    asked = queries(machine.call, "gateway/status", STATUS)
    assert len([sql for sql in asked if "signedcall" in sql]) == 1


def test_signatures_are_forgotten_when_they_are_too_old_to_be_used(machine: Machine) -> None:
    machine.call("gateway/status", STATUS)
    row = SignedCall.objects.get()
    assert row.forget_at > time.time() + 119, "its life, and the clock's tolerance"
    assert retention.forget_old_calls() == 0
    SignedCall.objects.update(forget_at=int(time.time()) - 1)
    assert retention.forget_old_calls() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_equal_calls_at_once_one_is_taken(machine: Machine) -> None:
    def call() -> int:
        return int(machine.call("gateway/status", STATUS, jti="a call").status_code)

    found = at_once(call, call)
    assert sorted(found) == [200, 401]


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
