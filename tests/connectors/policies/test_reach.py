"""Effect of switching a connector off: the same as what ``decide`` says before and after."""

import random

import pytest
from django.test import Client

from connectors import snapshot
from connectors.fleet import selectors, services
from connectors.models import Application, Connector, Policy
from connectors.policies import reach
from console.models import Gateway
from edge.access.decision import Destination, decide
from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.responses import words
from tests.roaming.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db


def online(gateway: Gateway, *connectors: Connector) -> None:
    for connector in connectors:
        factories.tunnel(gateway, ServerFactory(connector=connector, heard=True))


def way(document: Snapshot, account: ClientAccount, application: Application) -> str | None:
    identity = SessionIdentity("s", account.pk, account.instance_id, account.username, "10.0.0.1", 2e9)
    host = application.addresses.get().address
    decision = decide(identity, Destination.parse(f"{host}:80"), document, now=1e9)
    return decision.connector if decision.allowed else None


def test_who_loses_and_who_moves(operator_client: Client, connector: Connector, gateway: Gateway) -> None:
    branch = ConnectorFactory(name="branch")
    online(gateway, connector, branch)
    one, _ = AccountFactory(), AccountFactory()
    wiki, mail = factories.application("wiki"), factories.application("mail")
    factories.application("unused")
    factories.policy(connector, all_applications=False, applications=[wiki, mail])
    factories.policy(
        branch, all_users=False, accounts=[one], all_applications=False, applications=[wiki], priority=20
    )
    effect = reach.without(connector)
    assert (effect.users, effect.losing, effect.lost) == (2, 2, 2)
    assert dict(effect.moving) == {branch.pk: 1}
    found = {each.name: (each.loses, dict(each.moves)) for each in effect.applications}
    assert found == {"mail": (2, {}), "wiki": (1, {branch.pk: 1})}
    url = f"/sase/connectors/{connector.pk}/confirm-disable/"
    text = words(operator_client.get(url))
    assert "2 users reach 2 applications through it now" in text
    assert "2 users lose 2 applications" in text and "1 user goes on by branch" in text
    assert "0 connections through it are open" in text


def test_an_offline_connector_breaks_nothing(operator_client: Client, connector: Connector) -> None:
    AccountFactory()
    factories.application("wiki")
    factories.policy(connector)
    assert reach.without(connector).users == 0
    text = operator_client.get(f"/sase/connectors/{connector.pk}/confirm-disable/").text
    assert "it is offline" in text


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_decide_says_before_and_after(gateway: Gateway, seed: int) -> None:
    choose = random.Random(seed)
    connectors = ConnectorFactory.create_batch(3)
    online(gateway, *choose.sample(connectors, 2))
    instance = InstanceFactory(account_quota=10)
    people = [AccountFactory(instance=instance) for _ in range(4)]
    applications = [factories.application(tags=choose.sample(["a", "b"], 1)) for _ in range(4)]
    tags = list({tag for each in applications for tag in each.tags.all()})
    groups = [factories.group(accounts=choose.sample(people, 2)) for _ in range(2)]
    for _ in range(5):
        everybody, scope = choose.random() < 0.3, choose.choice(["all", "some", "tags"])
        factories.policy(
            choose.choice(connectors),
            priority=choose.randint(1, 4),
            all_users=everybody,
            accounts=[] if everybody else choose.sample(people, 1),
            groups=[] if everybody else choose.sample(groups, 1),
            all_applications=scope == "all",
            applications=choose.sample(applications, 2) if scope == "some" else [],
            tags=choose.sample(tags, 1) if scope == "tags" else [],
        )
    assert Policy.objects.count() == 5
    machine = factories.enrolled_gateway(gateway)

    def world() -> Snapshot:
        document = machine.call("gateway/config", {"applied_version": 0}).json()
        return Snapshot.compile(GatewayConfiguration.decode(document)).with_online(
            frozenset(selectors.online(names))
        )

    names = [each.pk for each in connectors]
    before = world()
    for connector in connectors:
        effect = reach.without(connector)
        services.connector_switch(connector=connector, enabled=False, actor=ACTOR)
        after = world()
        services.connector_switch(connector=connector, enabled=True, actor=ACTOR)
        affected = {
            (person, application, way(after, person, application))
            for person in people
            for application in applications
            if way(before, person, application) == connector.pk
        }
        assert effect.users == len({person for person, _, _ in affected})
        assert effect.losing == len({person for person, _, to in affected if to is None})
        moved = {(person, to) for person, _, to in affected if to is not None}
        assert dict(effect.moving) == {
            name: number for name in names if (number := sum(to == name for _, to in moved))
        }
        for each in effect.applications:
            own = [to for _, application, to in affected if application.pk == each.id]
            assert (each.loses, each.moves.total()) == (own.count(None), len(own) - own.count(None))
        assert {each.id for each in effect.applications} == {application.pk for _, application, _ in affected}
    assert snapshot.part(gateway)["policies"]
