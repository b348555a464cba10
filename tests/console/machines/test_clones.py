"""A copied machine is noticed by its calls, named on the pages, told to enroll anew; nothing else is taken for one."""

import time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.alerts import evaluation
from connectors.models import Alert, Server
from console.machines import clones
from console.models import AgentStart, AuditRow, MachineKey
from tests.connectors.factories import ConnectorFactory
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.roaming.answers import refusal

pytestmark = pytest.mark.django_db
# Seconds between two calls; the oldest of seven is as old as a call may be.
STEP = 15
STATUS = {"open_flows": 3, "envoy": "running", "tunnels": {}}
Marks = dict[str, Any]


def marks(letter: str, *, host: str = "", machine: str = "", boot: str = "") -> Marks:
    """Marks of a start on a machine of its own, unless told otherwise."""
    return {
        "start": letter * 16,
        "machine": machine or letter * 24,
        "boot": boot or letter * 24,
        "hostname": host or f"host-{letter}",
    }


def calls(machine: Machine, *order: Marks | None, begin: int | None = None) -> list[int]:
    """Have agents call one after the other, each 15 seconds later, up to now; return the statuses."""
    path, body = (
        ("gateway/status", STATUS) if machine.kind == "gateway" else ("renew", {"csrs": machine.csrs()})
    )
    first = int(time.time()) - STEP * (len(order) - 1) if begin is None else begin
    found = []
    for place, who in enumerate(order):
        told = {} if who is None else {"who": who}
        signed = first + STEP * place
        found.append(machine.call(path, body, iat=signed, exp=signed + 60, **told).status_code)
    return found


A, B = marks("a"), marks("b")
BY_TURNS = (A, B, A, B, A, B)


def test_two_that_call_by_turns_are_named_with_host_and_address(
    machine: Machine, operator_client: Client
) -> None:
    assert set(calls(machine, *BY_TURNS)) == {200}
    text = operator_client.get("/gateways/").content.decode()
    assert "Two machines in one" in text and "Cloned" in text
    for told in ("host-a", "host-b", "127.0.0.1", "Last heard", "Enroll anew"):
        assert told in text


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((A, A, A, B, B, B), id="restarted, upgraded, or moved to another host"),
        pytest.param((A, A, marks("a", host="renamed"), A), id="renamed"),
        pytest.param((A, B, A, A, A, A), id="set back with its memory, or overtaken by one call"),
        pytest.param((A, B, B, B, B, A, B), id="restored from a backup, and the newer one put back"),
        pytest.param((A, None, A, None, A, None), id="calls of release 0.2, which names no marks"),
        pytest.param((A, B, marks("c"), marks("d"), marks("e"), marks("f")), id="failing again and again"),
    ],
)
def test_one_machine_is_no_clone(
    machine: Machine, operator_client: Client, order: tuple[Marks | None, ...]
) -> None:
    assert set(calls(machine, *order)) == {200}
    assert "Two machines in one" not in operator_client.get("/gateways/").content.decode()
    assert not clones.copies()


@pytest.mark.parametrize(
    "who",
    [
        "a text",
        [],
        {},
        {"start": "short"},
        {"start": "x" * 16},
        {"start": None},
        {"start": "a" * 16, "hostname": "\n" * 5, "machine": "?"},
        {"start": "a" * 16, "later": 5},
    ],
)
def test_marks_that_make_no_sense_refuse_no_call(machine: Machine, who: Any) -> None:
    assert machine.call("gateway/status", STATUS, who=who).status_code == 200
    assert not AgentStart.objects.exclude(hostname="").exists()


def test_containers_of_one_host_are_told_apart_by_their_starts_alone(machine: Machine) -> None:
    one = marks("a", machine="c" * 24, boot="d" * 24)
    other = marks("b", machine="c" * 24, boot="d" * 24)
    calls(machine, *(one, other) * 3)
    assert {row.start for row in clones.copies()[machine.id]} == {"a" * 16, "b" * 16}


def chosen(client: Client, machine: Machine, start: str) -> Any:
    """Click on “Enroll anew” beside a start, and on the button of the question."""
    row = AgentStart.objects.get(key=machine.id, start=start * 16)
    url = f"/machines/{machine.id}/copies/{row.pk}/"
    question = client.get(f"{url}confirm/?next=/gateways/").content.decode()
    assert f'action="{url}enroll-anew/"' in question and row.hostname in question
    return client.post(f"{url}enroll-anew/", {"next": "/gateways/"}, follow=True)


def test_the_chosen_one_is_refused_and_the_other_goes_on(machine: Machine, operator_client: Client) -> None:
    calls(machine, *BY_TURNS)
    answer = chosen(operator_client, machine, "b")
    assert "host-b (127.0.0.1) has to enroll anew" in answer.content.decode()
    assert "Two machines in one" not in answer.content.decode()
    refused = machine.call("gateway/status", STATUS, who=B)
    assert refusal(refused) == (403, "MachineCloned")
    assert "Deploy panel" in refused.json()["error"]["message"]
    assert calls(machine, A, A) == [200, 200]
    row = AuditRow.objects.get(verb="machine.enroll_anew")
    assert (row.actor, row.after["hostname"]) == ("operator", "host-b")


def test_the_refused_one_is_refused_when_it_is_started_again(
    machine: Machine, operator_client: Client
) -> None:
    calls(machine, *BY_TURNS)
    chosen(operator_client, machine, "b")
    rebooted = marks("c", machine="b" * 24)
    restarted_where_the_disk_is_a_copy = marks("d", boot="b" * 24, machine="a" * 24)
    assert calls(machine, rebooted, restarted_where_the_disk_is_a_copy) == [403, 403]
    assert calls(machine, marks("e", machine="a" * 24, boot="a" * 24)) == [200], "the right one, restarted"


def test_of_one_machine_nobody_can_choose(machine: Machine, operator_client: Client) -> None:
    calls(machine, A, A)
    row = AgentStart.objects.get()
    answer = operator_client.post(f"/machines/{machine.id}/copies/{row.pk}/enroll-anew/")
    assert answer.status_code == 409 and "Only one machine works as" in answer.content.decode()
    assert calls(machine, A) == [200]


def test_of_two_who_choose_at_once_the_second_cannot_refuse_the_last_one(
    machine: Machine, operator_client: Client
) -> None:
    calls(machine, *BY_TURNS)
    chosen(operator_client, machine, "b")
    assert chosen(operator_client, machine, "a").status_code == 409
    assert calls(machine, A) == [200]


def test_a_machine_that_enrolls_again_begins_anew(machine: Machine) -> None:
    from console.core import audit
    from console.machines import enrollment

    calls(machine, *BY_TURNS)
    code, _ = enrollment.code_create(kind="gateway", target=machine.id, actor=audit.System("test"))
    machine.enroll(code)
    assert not clones.copies() and not AgentStart.objects.exists()
    assert MachineKey.objects.get().start == ""


def test_the_alert_fires_and_ends_with_the_choice(gateway: Any, operator_client: Client) -> None:
    machine = Machine("gateway", gateway.pk)
    calls(machine, *BY_TURNS)
    evaluation.evaluate()
    alert = Alert.objects.get(kind="clone")
    assert (alert.state, alert.subject) == ("firing", gateway.pk)
    chosen(operator_client, machine, "b")
    evaluation.evaluate()
    alert.refresh_from_db()
    assert (alert.state, alert.end) == ("resolved", "recovered")


def test_a_server_has_its_notice_beside_its_lights(operator_client: Client) -> None:
    connector = ConnectorFactory(name="office")
    machine = Machine("server", connector.pk)
    calls(machine, *BY_TURNS)
    Server.objects.update(heard_at=timezone.now())
    text = operator_client.get(f"/sase/connectors/{connector.pk}/servers/").content.decode()
    assert "Two machines in one" in text and "host-a" in text and "host-b" in text
    evaluation.evaluate()
    assert Alert.objects.get(kind="clone").subject == machine.id


def test_starts_of_a_machine_that_fails_again_and_again_do_not_pile_up(machine: Machine) -> None:
    for number in range(clones.MOST + 10):
        machine.call("gateway/status", STATUS, who=marks("a") | {"start": f"{number:016x}"})
    assert AgentStart.objects.count() <= clones.MOST + 1


def test_a_removed_gateway_leaves_no_starts(administrator_client: Client) -> None:
    gateway = GatewayFactory()
    machine = Machine("gateway", gateway.pk)
    calls(machine, A)
    machine.call("gateway/status", {**STATUS, "open_flows": 0}, who=A)
    administrator_client.post(f"/gateways/{gateway.pk}/delete/")
    assert not AgentStart.objects.exists()
