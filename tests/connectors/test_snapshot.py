"""Part of a gateway's configuration that this app adds: exactly the agreed shape, compiled by the edge's reader."""

import json
from datetime import timedelta

import msgspec
import pytest

from connectors import snapshot
from connectors.fleet import services as fleet
from connectors.models import Connector
from connectors.policies import services as policies
from console.models import Gateway
from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.queries import queries
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db


def test_the_agreed_shape(connector: Connector, gateway: Gateway) -> None:
    server = ServerFactory(connector=connector)
    out = ServerFactory(connector=connector, enabled=False)
    leaving = ServerFactory(connector=connector)
    fleet.server_drain(server=leaving, within=timedelta(minutes=5), actor=ACTOR)
    account = AccountFactory()
    group = factories.group("staff", accounts=[account])
    factories.group("unused", accounts=[account])
    wiki = factories.application("wiki", addresses=["b.example", "a.example"], ports=[(443, 443), (80, 81)])
    off = factories.application("off", enabled=False)
    policy = factories.policy(
        connector,
        "staff to wiki",
        priority=10,
        all_users=False,
        groups=[group],
        accounts=[account],
        all_applications=False,
        applications=[wiki, off],
    )
    factories.policy(connector, "disabled", priority=1, enabled=False)
    everything = factories.policy(connector, "everything", priority=100)
    assert json.loads(msgspec.json.encode(snapshot.part(gateway))) == {
        "connectors": {
            connector.pk: {
                "name": "office",
                "enabled": True,
                "licensed": True,
                "servers": {server.pk: "enabled", out.pk: "disabled", leaving.pk: "draining"},
            }
        },
        "applications": {
            wiki.pk: {
                "name": "wiki",
                "addresses": ["b.example", "a.example"],
                "ports": [[80, 81], [443, 443]],
                "protocol": "TCP",
            }
        },
        "groups": {group.pk: [account.pk]},
        "policies": [
            {
                "id": policy.pk,
                "name": "staff to wiki",
                "priority": 10,
                "users": "selected",
                "groups": [group.pk],
                "accounts": [account.pk],
                "applications": "selected",
                "application_ids": sorted([wiki.pk, off.pk]),
                "connector": connector.pk,
            },
            {
                "id": everything.pk,
                "name": "everything",
                "priority": 100,
                "users": "all",
                "groups": [],
                "accounts": [],
                "applications": "all",
                "application_ids": [],
                "connector": connector.pk,
            },
        ],
    }


def test_on_a_tie_the_older_policy_comes_first(connector: Connector, gateway: Gateway) -> None:
    made = [factories.policy(connector, priority=5).pk for _ in range(6)]
    assert [policy.id for policy in snapshot.part(gateway)["policies"]] == made


def test_a_gateway_can_compile_what_it_is_sent(connector: Connector, gateway: Gateway) -> None:
    ServerFactory(connector=connector)
    addresses = [
        "*.example",
        "a.example",
        "10.0.0.0/8",
        "192.0.2.1",
        "2001:db8::/32",
        "xn--bcher-kva.example",
    ]
    factories.application(addresses=addresses, protocol="All", ports=[(1, 65535)])
    factories.policy(connector)
    machine = factories.enrolled_gateway(gateway)
    document = machine.call("gateway/config", {"applied_version": 0}).json()
    compiled = Snapshot.compile(GatewayConfiguration.decode(document))
    assert connector.pk in compiled.connectors and len(compiled.policies) == 1


def test_an_account_that_left_its_group_is_gone_from_the_snapshot(
    connector: Connector, gateway: Gateway
) -> None:
    account = AccountFactory()
    group = factories.group(accounts=[account])
    factories.policy(connector, all_users=False, groups=[group])
    policies.group_update(group=group, accounts=[], actor=ACTOR)
    assert snapshot.part(gateway)["groups"] == {group.pk: []}


def test_the_number_of_queries_does_not_grow(gateway: Gateway) -> None:
    def grow(number: int) -> None:
        for _ in range(number):
            connector = ConnectorFactory()
            ServerFactory(connector=connector)
            group = factories.group(accounts=[account])
            factories.policy(connector, all_users=False, groups=[group])

    account = AccountFactory()
    grow(2)
    few = len(queries(snapshot.part, gateway))
    grow(8)
    assert len(queries(snapshot.part, gateway)) == few
