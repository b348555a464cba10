"""Every page of private access draws, with and without rows, in a number of queries that does not grow."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors.models import Connector, Server
from console.machines import config
from console.models import Gateway
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory, ServerFactory
from tests.queries import queries
from tests.responses import words
from tests.roaming.answers import HTMX_PANEL
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db

LISTS = ("/sase/connectors/", "/sase/policies/", "/sase/applications/", "/sase/groups/")
BUDGET = 8


def world(number: int, gateway: Gateway, account: ClientAccount) -> None:
    """``number`` of everything, all of it connected with everything it can be."""
    for _ in range(number):
        connector = ConnectorFactory(enabled=False)
        server = ServerFactory(connector=connector, heard=True)
        factories.tunnel(gateway, server)
        factories.measured(server, seconds=2, rx_bytes=250, tx_bytes=500)
        group = factories.group(accounts=[account])
        application = factories.application(ports=[(80, 80), (443, 443)])
        factories.policy(
            connector, all_users=False, groups=[group], all_applications=False, applications=[application]
        )


@pytest.mark.parametrize("url", LISTS)
def test_a_list_asks_the_same_number_of_queries_for_3_and_10_rows(
    operator_client: Client, gateway: Gateway, url: str
) -> None:
    account = AccountFactory()
    world(3, gateway, account)
    operator_client.get(url)
    few = queries(operator_client.get, url)
    world(7, gateway, account)
    assert len(queries(operator_client.get, url)) == len(few) <= BUDGET


def test_the_panels_of_a_connector_keep_to_the_budget_however_many_servers_it_has(
    operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    config.current()  # the first look makes the row
    for url in ("", "servers/"):
        counts = []
        for _ in range(2):
            for _ in range(3):
                factories.tunnel(gateway, ServerFactory(connector=connector, heard=True))
            page = f"/sase/connectors/{connector.pk}/{url}"
            counts.append(len(queries(operator_client.get, page, headers=HTMX_PANEL)))
        assert counts[0] == counts[1] <= BUDGET


@pytest.mark.parametrize("url", LISTS)
def test_an_empty_list_says_what_to_do_next(viewer_client: Client, url: str) -> None:
    assert "There is no" in viewer_client.get(url).text


@pytest.mark.parametrize("url", LISTS)
def test_htmx_gets_the_table_alone(viewer_client: Client, url: str) -> None:
    answer = viewer_client.get(url, headers={"HX-Request": "true", "HX-Target": "table"})
    assert "<html" not in answer.text and 'id="table"' in answer.text


def test_the_list_tells_status_servers_policies_and_throughput(
    viewer_client: Client, connector: Connector, server: Server, gateway: Gateway
) -> None:
    factories.tunnel(gateway, server)
    factories.policy(connector)
    factories.measured(server, seconds=2, rx_bytes=250_000, tx_bytes=500_000)
    ServerFactory(connector=connector)
    text = words(viewer_client.get("/sase/connectors/"))
    assert "Online" in text and "1 of 2" in text
    assert "1 Mbit/s" in text and "2 Mbit/s" in text


def test_an_old_sample_is_no_throughput_of_now(viewer_client: Client, server: Server) -> None:
    old = timezone.now() - timedelta(minutes=5)
    factories.measured(server, time=old, seconds=2, rx_bytes=250_000, tx_bytes=0)
    assert "bit/s" not in viewer_client.get("/sase/connectors/").text


@pytest.mark.parametrize(
    "path", ["", "servers/", "deploy/", "rename/", "confirm-disable/", "confirm-delete/", "cut/", "traffic/"]
)
@pytest.mark.parametrize("htmx", [False, True])
def test_every_panel_and_dialog_draws(
    operator_client: Client, connector: Connector, server: Server, gateway: Gateway, path: str, htmx: bool
) -> None:
    factories.tunnel(gateway, server)
    factories.policy(connector)
    overlay = "dialog" if path.startswith(("rename", "confirm")) else "panel"
    headers = {"HX-Request": "true", "HX-Target": overlay} if htmx else {}
    answer = operator_client.get(f"/sase/connectors/{connector.pk}/{path}", headers=headers)
    assert answer.status_code == 200
    assert ("<html" in answer.text) is (not htmx and path not in ("cut/", "traffic/"))


def test_forms_name_the_chosen_accounts(operator_client: Client, connector: Connector) -> None:
    account = AccountFactory()
    group = factories.group(accounts=[account])
    policy = factories.policy(connector, all_users=False, groups=[group], accounts=[account])
    member = f"{account.username}@{account.instance_id}"
    assert member in operator_client.get(f"/sase/groups/{group.pk}/").text
    assert member in operator_client.get(f"/sase/policies/{policy.pk}/").text


def test_what_is_not_measured_is_a_dash_and_never_zero(viewer_client: Client, connector: Connector) -> None:
    ServerFactory(connector=connector)
    text = viewer_client.get(f"/sase/connectors/{connector.pk}/servers/").text
    loss = re.search(r"Packet Loss Rate</dt>\s*<dd>\s*(\S+)", text)
    assert loss and loss[1] == "—"
    assert "0 %" not in text and "0 bit/s" not in text
