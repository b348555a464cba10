"""What the console builds is what a machine reads: both configurations, through the console's own door."""

import pytest

from connectors.fleet import configuration
from console.machines import snapshot
from console.models import Gateway
from edge.protocol.configuration import GatewayConfiguration, ServerConfiguration
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory
from tests.console.machine import Machine
from tests.roaming.factories import AccountFactory
from tests.wire.strategies import on_the_wire

pytestmark = pytest.mark.django_db


def test_what_is_built_for_a_gateway_arrives_as_it_was_built(gateway: Gateway) -> None:
    connector = ConnectorFactory()
    account = AccountFactory()
    factories.application(ports=[(80, 81)])
    factories.policy(connector, all_users=False, groups=[factories.group(accounts=[account])])
    machine = factories.enrolled_gateway(gateway)
    answer = machine.call("gateway/config", {"applied_version": 0}).json()
    built = snapshot.build(Gateway.objects.get(pk=gateway.pk))
    assert answer == on_the_wire(built) == on_the_wire(GatewayConfiguration.decode(answer))


def test_what_is_built_for_a_server_arrives_as_it_was_built(gateway: Gateway) -> None:
    connector = ConnectorFactory()
    factories.enrolled_gateway(gateway)
    factories.application(ports=[(80, 81)], origin="127.0.0.1:8080")
    factories.policy(connector)
    machine = Machine("server", connector.pk)
    answer = machine.call("server/config", {}).json()
    assert answer == on_the_wire(configuration.build(machine.id))
    assert answer == on_the_wire(ServerConfiguration.decode(answer))
