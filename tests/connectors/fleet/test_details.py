"""Details panel and list of connectors: every field, and what is changed there."""

from datetime import time, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors.fleet import services
from connectors.models import Connector, Server
from console.core.errors import Invalid
from console.models import AuditRow, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.console.machine import Machine
from tests.responses import words

pytestmark = pytest.mark.django_db
LIST = "/sase/connectors/"


def names(client: Client, **query: str) -> set[str]:
    page = client.get(LIST, query).text
    return {name for name in Connector.objects.values_list("name", flat=True) if f">{name}</a>" in page}


# --- Upgrade window ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_the_upgrade_window_is_changed_and_shown(
    operator_client: Client, connector: Connector, htmx: bool
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "dialog"} if htmx else {}
    url = f"{LIST}{connector.pk}/upgrade-window/"
    answer = operator_client.post(url, {"start": "20:00", "end": "23:00"}, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    connector.refresh_from_db()
    assert (connector.upgrade_start, connector.upgrade_end) == (time(20), time(23))
    assert "20:00–23:00 (UTC)" in words(operator_client.get(f"{LIST}{connector.pk}/"))
    after = {"upgrade_start": "20:00 UTC", "upgrade_end": "23:00 UTC"}
    assert AuditRow.objects.get(verb="connector.upgrade_window").after == after
    operator_client.post(url, {"start": "", "end": ""})
    assert "Any time" in words(operator_client.get(f"{LIST}{connector.pk}/"))


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("20:00", "", "a start and another end"),
        ("", "20:00", "a start and another end"),
        ("20:00", "20:00", "a start and another end"),
        ("25:00", "20:00", "HH:MM"),
        ("8 pm", "20:00", "HH:MM"),
    ],
)
def test_a_window_that_is_none_is_refused(
    operator_client: Client, connector: Connector, start: str, end: str, sentence: str
) -> None:
    answer = operator_client.post(f"{LIST}{connector.pk}/upgrade-window/", {"start": start, "end": end})
    assert answer.status_code == 422 and sentence in answer.text
    connector.refresh_from_db()
    assert connector.upgrade_start is None


def test_the_service_refuses_a_window_without_an_end(connector: Connector) -> None:
    with pytest.raises(Invalid, match="HH:MM"):
        services.connector_upgrade_window(connector=connector, start=time(1), end=None, actor=ACTOR)


# --- Deploy Server ----------------------------------------------------------------------------------------------------


def test_a_server_shows_all_there_is_to_know(viewer_client: Client, connector: Connector) -> None:
    machine = Machine("server", connector.pk)
    said = factories.telemetry()["machine"] | {"uptime_seconds": 93784, "open_flows": 1234}
    assert machine.call("telemetry", factories.telemetry(machine=said)).status_code == 200
    text = words(viewer_client.get(f"{LIST}{connector.pk}/servers/"))
    server = Server.objects.get()
    assert server.certificate_ends_at is not None
    days = server.certificate_ends_at - timezone.now()
    assert timedelta(days=6) < days < timedelta(days=8)
    for each in (
        "db1", server.pk, "Running", "Endpoint IP Address", "127.0.0.1", "Private IP Address", "10.1.1.1",
        "CPU Utilization", "Memory Usage", "Packet Loss Rate", "Latency", "1,234", "1 day 2 hours",
        server.certificate_ends_at.strftime("%Y-%m-%d"),
    ):  # fmt: skip
        assert each in text, each


def test_a_renewed_certificate_is_shown_with_its_new_end(connector: Connector) -> None:
    machine = Machine("server", connector.pk)
    Server.objects.update(certificate_ends_at=None)
    assert machine.call("renew", {"csrs": machine.csrs()}).status_code == 200
    ends = Server.objects.get().certificate_ends_at
    assert ends is not None and ends > timezone.now()


def test_an_expired_certificate_is_marked(viewer_client: Client, server: Server) -> None:
    assert "Expired" not in words(viewer_client.get(f"{LIST}{server.connector_id}/servers/"))
    Server.objects.update(certificate_ends_at=timezone.now() - timedelta(seconds=1))
    assert "Expired" in words(viewer_client.get(f"{LIST}{server.connector_id}/servers/"))


def test_an_open_tab_learns_of_new_servers(
    viewer_client: Client, connector: Connector, server: Server
) -> None:
    url = f"{LIST}{connector.pk}/servers-known/"
    assert viewer_client.get(url, {"known": "1"}).status_code == 204
    ServerFactory(connector=connector)
    assert "There are 2 servers now" in words(viewer_client.get(url, {"known": "1"}))


def test_an_open_panel_asks_for_its_facts(
    viewer_client: Client, connector: Connector, server: Server, gateway: Gateway
) -> None:
    url = f"{LIST}{connector.pk}/state/"
    assert "Offline" in words(viewer_client.get(url))
    factories.tunnel(gateway, server)
    text = words(viewer_client.get(url))
    assert "Online" in text and "<html" not in text and url in text


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_narrowed_by_status_switch_and_region(
    viewer_client: Client, connector: Connector, server: Server, gateway: Gateway
) -> None:
    factories.tunnel(gateway, server)
    ConnectorFactory(name="far", region=factories.region("ap-southeast-1"))
    ConnectorFactory(name="off", enabled=False)
    assert names(viewer_client) == {"office", "far", "off"}
    assert names(viewer_client, status="online") == {"office"}
    assert names(viewer_client, status="offline") == {"far", "off"}
    assert names(viewer_client, switch="off") == {"off"}
    assert names(viewer_client, region="ap-southeast-1") == {"far"}
    assert names(viewer_client, status="offline", switch="on") == {"far"}


@pytest.mark.parametrize("sort", ["name", "-name", "region", "switch", "-switch"])
def test_every_order_keeps_to_the_page(viewer_client: Client, sort: str) -> None:
    made = ConnectorFactory.create_batch(25)
    pages = [names(viewer_client, sort=sort, size="20", page=page) for page in ("1", "2")]
    assert [len(page) for page in pages] == [20, 5]
    assert pages[0] | pages[1] == {each.name for each in made}


def test_the_list_counts_applications_by_name_and_by_tag_once(
    viewer_client: Client, connector: Connector
) -> None:
    wiki, mail = factories.application(tags=["web"]), factories.application(tags=["web"])
    factories.application()
    off = factories.application(enabled=False)
    tags = list(wiki.tags.all())

    def shown() -> str:
        row = words(viewer_client.get(LIST)).partition("<tbody")[2]
        return row.split('<td class="align-end">')[1].partition("</td>")[0].strip()

    assert shown() == "0"
    factories.policy(connector, all_applications=False, applications=[wiki, off])
    assert shown() == "1"
    factories.policy(connector, all_applications=False, tags=tags)
    assert shown() == "2", f"{wiki} is named twice and counts once, beside {mail}"
    factories.policy(connector, enabled=False)
    assert shown() == "2"
    factories.policy(connector)
    assert shown() == "All"
