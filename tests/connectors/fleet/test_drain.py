"""Drain of a server: no new flows, then off by itself; each step as gateways, servers and people see it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors import snapshot
from connectors.fleet import services
from connectors.models import Connector, Server
from console.core.errors import Conflict, Invalid
from console.models import AuditRow, Cutover, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ServerFactory, telemetry
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
MINUTES = timedelta(minutes=10)


def url(server: Server, action: str = "drain") -> str:
    return f"/sase/connectors/{server.connector_id}/servers/{server.pk}/{action}/"


def state(server: Server) -> str:
    server.refresh_from_db()
    return server.state


def told(gateway: Gateway, server: Server) -> str | bool:
    return snapshot.part(gateway)["connectors"][server.connector_id].servers[server.pk]


@pytest.fixture
def machine(connector: Connector) -> Machine:
    """Agent of a server, enrolled with the connector."""
    return Machine("server", connector.pk)


def reports(machine: Machine, open_flows: int) -> None:
    """Call the console as the agent does every few seconds."""
    said = telemetry()["machine"] | {"open_flows": open_flows}
    assert machine.call("telemetry", telemetry(machine=said)).status_code == 200


@pytest.mark.parametrize("htmx", [False, True])
def test_a_server_drains_and_gateways_are_told(
    operator_client: Client, server: Server, gateway: Gateway, htmx: bool
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "dialog"} if htmx else {}
    answer = operator_client.post(url(server), {"minutes": 5}, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    assert (state(server), told(gateway, server)) == ("draining", "draining")
    assert server.drain_until is not None
    left = server.drain_until - timezone.now()
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    assert AuditRow.objects.get(verb="server.drain").after["state"] == "draining"
    page = operator_client.get(f"/sase/connectors/{server.connector_id}/servers/").text
    assert "Draining" in page and "Stop draining" in page


@pytest.mark.parametrize("minutes", ["", "0", "1441", "-1", "x", "1.5"])
def test_a_time_that_is_not_legal_is_refused(operator_client: Client, server: Server, minutes: str) -> None:
    answer = operator_client.post(url(server), {"minutes": minutes})
    assert answer.status_code == 422 and "whole number from 1 to 1,440" in answer.text
    assert state(server) == "enabled"


def test_the_service_refuses_what_the_form_refuses(server: Server) -> None:
    with pytest.raises(Invalid, match="1 to 1,440"):
        services.server_drain(server=server, within=timedelta(days=2), actor=ACTOR)


def test_what_drains_or_is_off_cannot_be_drained(server: Server) -> None:
    services.server_drain(server=server, within=MINUTES, actor=ACTOR)
    with pytest.raises(Conflict, match="draining already"):
        services.server_drain(server=server, within=MINUTES, actor=ACTOR)
    services.server_switch(server=server, enabled=False, actor=ACTOR)
    with pytest.raises(Conflict, match="disabled already"):
        services.server_drain(server=server, within=MINUTES, actor=ACTOR)


def test_the_dialog_warns_of_the_last_server(operator_client: Client, server: Server) -> None:
    assert "No other server" in operator_client.get(url(server)).text
    ServerFactory(connector=server.connector, heard=True)
    assert "No other server" not in operator_client.get(url(server)).text


def test_stop_draining_lets_new_flows_in_again(
    operator_client: Client, server: Server, gateway: Gateway
) -> None:
    services.server_drain(server=server, within=MINUTES, actor=ACTOR)
    assert operator_client.post(url(server, "enable")).status_code == 302
    assert (state(server), told(gateway, server)) == ("enabled", "enabled")
    assert services.drains_finish() == 0


def test_it_is_switched_off_when_its_flows_are_gone(machine: Machine, gateway: Gateway) -> None:
    arrival, server = factories.enrolled_gateway(gateway), Server.objects.get(pk=machine.id)
    services.server_drain(server=server, within=MINUTES, actor=ACTOR)
    reports(machine, 0)
    assert services.drains_finish() == 0, "the gateway may still give it flows"
    arrival.call("gateway/config", {"applied_version": Cutover.objects.get().version})
    assert services.drains_finish() == 0, "what it said before the gateway had stopped does not count"
    reports(machine, 2)
    assert services.drains_finish() == 0
    reports(machine, 0)
    assert services.drains_finish() == 1 and state(server) == "disabled"
    assert AuditRow.objects.get(verb="server.disable").actor == "worker"


def test_it_is_switched_off_when_its_time_has_passed(machine: Machine) -> None:
    server = Server.objects.get(pk=machine.id)
    services.server_drain(server=server, within=MINUTES, actor=ACTOR)
    reports(machine, 3)
    assert services.drains_finish() == 0
    Server.objects.update(drain_until=timezone.now() - timedelta(seconds=1))
    assert services.drains_finish() == 1 and state(server) == "disabled"
