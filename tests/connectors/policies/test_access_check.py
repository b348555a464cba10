"""Access check: the gateways' own answer for an account and a destination, step by step."""

import re
from datetime import timedelta
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.applications import services as applications
from connectors.fleet import services as fleet
from connectors.models import Application, Connector, Server
from connectors.policies import services as policies
from console.machines import snapshot
from console.models import Gateway
from edge.access.decision import Destination, decide
from edge.access.snapshot import Snapshot
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from roaming.accounts import services as accounts
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory, ServerFactory
from tests.console.factories import GatewayFactory
from tests.queries import queries
from tests.roaming.factories import AccountFactory, CCNFactory, InstanceFactory

pytestmark = pytest.mark.django_db
URL = "/sase/access-check/"


@pytest.fixture
def account() -> ClientAccount:
    return AccountFactory(username="anna.berg")


@pytest.fixture
def wiki(connector: Connector, server: Server, gateway: Gateway) -> Application:
    """Application that everybody reaches through ``office``, whose server has tunnels."""
    factories.tunnel(gateway, server)
    made = factories.application("wiki", addresses=["wiki.corp.example"])
    factories.policy(connector, "staff", all_applications=False, applications=[made])
    Gateway.objects.update(applied_version=10**6)
    return made


def ask(
    client: Client, account: ClientAccount, host: str = "wiki.corp.example", port: str = "80", **more: Any
) -> str:
    answer = client.get(URL, {"account": account.pk, "host": host, "port": port, **more})
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.split("<main")[1])).split())


def test_a_viewer_sees_the_decision_its_steps_the_server_and_the_gateway(
    viewer_client: Client, account: ClientAccount, wiki: Application, gateway: Gateway, server: Server
) -> None:
    text = ask(viewer_client, account)
    assert "Allowed anna.berg → wiki.corp.example:80" in text and "200 PolicyMatched" in text
    assert "The application wiki names wiki.corp.example:80." in text
    assert "The policy staff fits; the connector office carries the flow." in text
    assert f"{server.hostname} {server.pk} This server takes it" in text and gateway.name in text
    assert "Behind" not in text and "Not asked" not in text


def test_the_account_may_be_written_as_people_write_it_and_the_port_with_the_host(
    viewer_client: Client, account: ClientAccount, wiki: Application
) -> None:
    query = {"account": f"Anna.Berg@{account.instance_id}", "host": "wiki.corp.example:80"}
    assert "Allowed" in viewer_client.get(URL, query).text


def test_what_gets_in_the_way_is_said_rule_by_rule(
    operator_client: Client, account: ClientAccount, wiki: Application, connector: Connector
) -> None:
    assert "does not name" not in ask(operator_client, account)
    text = ask(operator_client, account, port="81")
    assert "Refused" in text and "names the host, but not port 81" in text
    fleet.connector_switch(connector=connector, enabled=False, actor=factories.ACTOR)
    text = ask(operator_client, account)
    assert "403 ConnectorDisabled" in text and "Passed over The policy staff fits, but" in text


def test_the_next_connector_takes_over_from_one_that_is_off(
    viewer_client: Client, account: ClientAccount, wiki: Application, connector: Connector, gateway: Gateway
) -> None:
    spare = ServerFactory(connector=ConnectorFactory(name="spare"), heard=True, hostname="spare-1")
    factories.tunnel(gateway, spare)
    factories.policy(spare.connector, "fallback", priority=20)
    fleet.connector_switch(connector=connector, enabled=False, actor=factories.ACTOR)
    text = ask(viewer_client, account)
    assert "Allowed" in text and "the connector spare carries the flow" in text and "spare-1" in text


def test_what_if_a_policy_or_a_connector_were_off_is_answered_without_touching_it(
    viewer_client: Client, account: ClientAccount, wiki: Application, connector: Connector, gateway: Gateway
) -> None:
    spare = ServerFactory(connector=ConnectorFactory(name="spare"), heard=True, hostname="spare-1")
    factories.tunnel(gateway, spare)
    fallback = factories.policy(spare.connector, "fallback", priority=20)
    query = {"account": account.pk, "host": "wiki.corp.example", "port": "80"}
    page = viewer_client.get(URL, query).text
    assert "What if" in page and f"&amp;without={connector.pk}" in page and "switched off." not in page

    text = ask(viewer_client, account, without=connector.pk)
    assert "As if the connector office were switched off." in text and "spare carries the flow" in text
    text = ask(viewer_client, account, without=[connector.pk, fallback.pk])
    assert "the connector office and the policy fallback were switched off." in text
    assert "Refused" in text and "403 ConnectorDisabled" in text and "were switched off?" not in text
    assert "spare carries the flow" not in text
    text = ask(viewer_client, account, without="fs-0000000000000000")
    assert "No policy or connector that is in use has the ID fs-0000000000000000." in text
    assert "Allowed" in text
    assert "office carries the flow" in ask(viewer_client, account), "as it is, as before"


def test_what_if_is_what_follows_when_it_is_done(
    operator_client: Client, account: ClientAccount, wiki: Application, connector: Connector
) -> None:
    """Compare the answer foretold with the answer after the act."""
    policy = connector.policies.get()
    for key, switch in (
        (policy.pk, partial(policies.policy_switch, policy=policy, actor=factories.ACTOR)),
        (connector.pk, partial(fleet.connector_switch, connector=connector, actor=factories.ACTOR)),
    ):
        foretold = ask(operator_client, account, without=key)
        switch(enabled=False)
        answer = ask(operator_client, account)
        assert foretold.split("How it was decided")[1] == answer.split("How it was decided")[1]
        switch(enabled=True)


def test_a_disabled_account_is_refused_before_anything_else(
    viewer_client: Client, account: ClientAccount, wiki: Application
) -> None:
    accounts.account_disable(account=account, actor=factories.ACTOR)
    text = ask(viewer_client, account)
    assert "403 AccountDisabled" in text and "application" not in text.split("How it was decided")[1]


def test_the_cloud_network_of_an_area_is_dialled_by_its_gateways_only(
    viewer_client: Client, gateway: Gateway
) -> None:
    network = CCNFactory(networks=["10.9.0.0/16"])
    account = AccountFactory(instance=InstanceFactory(ccn=network))
    factories.enrolled_gateway(gateway)
    factories.enrolled_gateway(GatewayFactory(name="far", region_id="ap-southeast-1"))
    text = ask(viewer_client, account, "10.9.1.1", "443")
    here, there = text.split("How it was decided")[0], text.split("How it was decided")[1]
    assert "Allowed" in here and gateway.name in here and "The gateway dials it itself" in here
    assert "Refused" in there and "far" in there


def test_gateways_that_are_not_heard_of_are_named_and_late_ones_too(
    viewer_client: Client, account: ClientAccount, wiki: Application, gateway: Gateway
) -> None:
    Gateway.objects.update(applied_version=1)
    now = timezone.now()
    GatewayFactory(name="lost", enrolled_at=now, heard_at=now - timedelta(hours=1))
    text = ask(viewer_client, account)
    assert f"Behind {gateway.name} does not work by configuration" in text
    assert "Not asked lost: not heard of" in text


def test_without_a_host_it_lists_what_the_account_reaches(
    viewer_client: Client, account: ClientAccount, wiki: Application
) -> None:
    factories.application("hidden")
    text = ask(viewer_client, account, host="", port="")
    assert "What anna.berg reaches wiki: wiki.corp.example:80" in text and "hidden" not in text


def test_udp_is_said_not_to_be_carried(
    viewer_client: Client, account: ClientAccount, wiki: Application
) -> None:
    assert "Gateways carry TCP only" in ask(viewer_client, account, protocol="UDP")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"account": ""}, "Client account is required"),
        (
            {"account": "nobody"},
            "There is no client account “nobody”. Write user name@instance ID, or its ID.",
        ),
        ({"host": "a b", "port": "80"}, "host name"),
        ({"host": "wiki.corp.example", "port": "0"}, "Port must be a whole number from 1 to 65,535."),
        ({"host": "wiki.corp.example"}, "The destination must name a port"),
        ({"port": "80"}, "Give the host that the port belongs to"),
        ({"protocol": "ICMP"}, "Protocol must be TCP or UDP."),
    ],
)
def test_a_bad_field_is_named_and_what_was_typed_stays(
    viewer_client: Client, account: ClientAccount, query: dict[str, str], sentence: str
) -> None:
    answer = viewer_client.get(URL, {"account": account.pk, **query})
    text = unescape(answer.text)
    assert answer.status_code == 422 and sentence in text
    assert all(f'value="{value}"' in text for value in query.values() if value and value != "ICMP")


def test_a_part_of_a_name_suggests_accounts(viewer_client: Client, account: ClientAccount) -> None:
    text = viewer_client.get(URL, {"account": "berg", "host": "x.example", "port": "1"}).text
    assert f"?account=anna.berg%40{account.instance_id}&amp;host=x.example&amp;port=1" in text
    options = viewer_client.get(URL + "accounts/", {"account": "BERG"}).text
    assert f'<option value="anna.berg@{account.instance_id}">' in options
    assert "<option" not in viewer_client.get(URL + "accounts/").text


def test_it_keeps_to_the_budget_of_queries_while_the_configuration_stays(
    viewer_client: Client, account: ClientAccount, wiki: Application
) -> None:
    ask(viewer_client, account)
    assert len(queries(ask, viewer_client, account)) <= 8


def test_a_change_is_seen_at_once(operator_client: Client, account: ClientAccount, wiki: Application) -> None:
    assert "Allowed" in ask(operator_client, account)
    applications.application_switch(application=wiki, enabled=False, actor=factories.ACTOR)
    assert "No enabled application names wiki.corp.example." in ask(operator_client, account)


def test_it_is_what_decide_says_on_the_document_that_the_gateway_is_sent(
    viewer_client: Client, account: ClientAccount, wiki: Application, gateway: Gateway, server: Server
) -> None:
    configuration = snapshot.build(Gateway.objects.select_related("region__area").get(pk=gateway.pk))
    sent = Snapshot.compile(GatewayConfiguration.decode(configuration.encode()))
    sent = sent.with_online(sent.online_by({(server.connector_id, server.pk): 2}))
    identity = SessionIdentity("session-x", account.pk, account.instance_id, "", "", 10**12)
    for host, port in (
        ("wiki.corp.example", 80),
        ("wiki.corp.example", 81),
        ("other.example", 80),
        ("10.0.0.1", 80),
    ):
        decision = decide(identity, Destination.parse(f"{host}:{port}"), sent, now=0)
        text = ask(viewer_client, account, host, str(port))
        assert f"{decision.status} {decision.code}" in text
        assert all(step.message in text for step in decision.trace)
