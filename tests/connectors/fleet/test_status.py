"""Status of connectors and servers: what gateways report, how fresh it is, and nothing that nobody measured."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.fleet import selectors, services
from connectors.fleet.lights import ServerStatus, server_statuses
from connectors.models import Connector, Server, Tunnel
from console.machines import config
from console.machines.models.machines import SILENT_AFTER
from console.models import Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ServerFactory
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.queries import queries
from tests.responses import words

pytestmark = pytest.mark.django_db


def status(**tunnels: int) -> dict[str, Any]:
    return {"version": "0.1.0", "open_flows": 0, "envoy": "running", "tunnels": tunnels, "applied_version": 1}


def online() -> bool:
    connector: Any = selectors.connectors_with_status().get()
    return bool(connector.online)


@pytest.fixture
def machine(gateway: Gateway) -> Machine:
    return factories.enrolled_gateway(gateway)


def test_a_connector_is_online_while_a_gateway_reports_a_tunnel(
    connector: Connector, server: Server, machine: Machine
) -> None:
    assert not online()
    assert machine.call("gateway/status", status(**{server.pk: 2})).status_code == 200
    assert online() and selectors.online([connector.pk]) == {connector.pk}
    machine.call("gateway/status", status())
    assert not online() and not Tunnel.objects.exists()


def test_a_tunnel_of_a_disabled_server_does_not_count(
    connector: Connector, server: Server, machine: Machine
) -> None:
    machine.call("gateway/status", status(**{server.pk: 2}))
    services.server_switch(server=server, enabled=False, actor=ACTOR)
    assert not online()


def test_a_switched_off_connector_may_be_online_all_the_same(
    connector: Connector, server: Server, machine: Machine
) -> None:
    machine.call("gateway/status", status(**{server.pk: 2}))
    services.connector_switch(connector=connector, enabled=False, actor=ACTOR)
    assert online(), "the status is about the way, the switch about who may go it"


@pytest.mark.parametrize("silent", ["gateway", "report"])
def test_an_old_word_is_not_believed(
    connector: Connector, server: Server, machine: Machine, silent: str
) -> None:
    machine.call("gateway/status", status(**{server.pk: 2}))
    old = timezone.now() - SILENT_AFTER
    if silent == "gateway":
        Gateway.objects.update(heard_at=old)
    else:
        Tunnel.objects.update(seen_at=old)
    assert not online()


def test_gateways_speak_for_themselves_only(connector: Connector, server: Server, machine: Machine) -> None:
    other = factories.enrolled_gateway(GatewayFactory())
    machine.call("gateway/status", status(**{server.pk: 2}))
    other.call("gateway/status", status())
    assert online()
    tunnel = Tunnel.objects.get()
    assert (tunnel.gateway_id, tunnel.count) == (machine.id, 2)


def test_many_tunnels_cost_no_more_queries_than_few(connector: Connector, machine: Machine) -> None:
    def cost(number: int) -> int:
        servers = [ServerFactory(connector=connector) for _ in range(number)]
        tunnels = status(**{server.pk: 1 for server in servers})
        return len(queries(machine.call, "gateway/status", tunnels))

    assert cost(2) == cost(40)


# --- Lights -----------------------------------------------------------------------------------------------------------


def lights(connector: Connector) -> ServerStatus:
    return server_statuses(connector, config.current())[0]


def test_the_lights_of_a_server_that_never_spoke(connector: Connector, gateway: Gateway) -> None:
    ServerFactory(connector=connector)
    found = lights(connector)
    assert found.process.word == "Not heard yet"
    assert found.configuration.word == found.destinations.word == "—"
    assert found.tunnels == []


def test_the_lights_follow_what_is_heard(connector: Connector, server: Server, machine: Machine) -> None:
    version = config.current().servers_version
    Server.objects.update(applied_version=version, envoy_state="running")
    machine.call("gateway/status", status(**{server.pk: 2}))
    found = lights(connector)
    assert (found.process.kind, found.configuration.kind) == ("success", "success")
    assert [(light.kind, light.word) for light in found.tunnels] == [("success", "2 tunnels")]
    Server.objects.update(applied_version=version - 1, envoy_state="starting")
    machine.call("gateway/status", status())
    found = lights(connector)
    assert (found.process.word, found.configuration.word) == ("Envoy starting", "Behind")
    assert [light.word for light in found.tunnels] == ["No tunnel"]
    Server.objects.update(heard_at=timezone.now() - timedelta(hours=1))
    Gateway.objects.update(heard_at=timezone.now() - timedelta(hours=1))
    found = lights(connector)
    assert found.process.word == "Not running"
    assert [light.word for light in found.tunnels] == ["Gateway not reached"]


def test_a_server_that_was_removed_is_asked_for_no_more(viewer_client: Client, connector: Connector) -> None:
    answer = viewer_client.get(f"/sase/connectors/{connector.pk}/servers/server-gone/")
    assert answer.status_code == 286


def test_a_servers_state_is_fetched_alone(
    viewer_client: Client, connector: Connector, server: Server
) -> None:
    answer = viewer_client.get(f"/sase/connectors/{connector.pk}/servers/{server.pk}/")
    text = answer.text
    assert answer.status_code == 200 and f'id="state-{server.pk}"' in text and "<html" not in text


def test_the_overview_counts_connectors_online(
    viewer_client: Client, connector: Connector, server: Server, machine: Machine
) -> None:
    machine.call("gateway/status", status(**{server.pk: 2}))
    assert "1 of 1" in words(viewer_client.get("/"))
