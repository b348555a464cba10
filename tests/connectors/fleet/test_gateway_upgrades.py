"""Upgrade of a gateway, as far as connector servers are concerned: the next waits until they have dialled again."""

from datetime import timedelta

import pytest

from connectors.fleet import health
from connectors.models import Server
from console.machines.gateway_upgrades import GATEWAYS, upgrade_start
from console.models import Gateway, GatewayUpgrade
from tests.connectors.factories import ACTOR, ServerFactory, enrolled_gateway
from tests.console.machine import Machine

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wheel")]


def says(machine: Machine, version: str, *servers: Server) -> None:
    tunnels = {server.pk: 2 for server in servers}
    status = {"version": version, "open_flows": 0, "envoy": "running", "tunnels": tunnels}
    assert machine.call("gateway/status", status).status_code == 200


def test_a_gateway_is_upgraded_only_when_its_servers_have_dialled_again(gateway: Gateway) -> None:
    machine = enrolled_gateway(gateway)
    dialled, never = ServerFactory(heard=True), ServerFactory(heard=True)
    ServerFactory()  # not heard of
    ServerFactory(heard=True, enabled=False)
    says(machine, "0.1.0", dialled)
    run = upgrade_start(area=gateway.region.area, window=None, drain=timedelta(minutes=1), actor=ACTOR)
    GATEWAYS.advance()
    assert GatewayUpgrade.objects.get().reds == [f"tunnel of {never}"]
    says(machine, "0.1.0", dialled)
    GATEWAYS.advance()
    machine.call("gateway/upgrade", {"order": run.pk, "state": "restarting"})
    says(machine, "0.2.0")
    assert set(health.without_tunnel(gateway)) == {f"tunnel of {dialled}", f"tunnel of {never}"}
    machine.call("gateway/upgrade", {"order": run.pk, "state": "healthy"})
    GATEWAYS.advance()
    assert GatewayUpgrade.objects.get().state == "checking"
    says(machine, "0.2.0", dialled)
    GATEWAYS.advance()
    assert GatewayUpgrade.objects.get().state == "done"
