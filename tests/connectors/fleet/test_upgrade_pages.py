"""The upgrade's dialog, its progress on the tab Deploy Server, and its cancelling."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from connectors.models import Connector, Server, Upgrade
from console.models import AuditRow
from tests.connectors.factories import ConnectorFactory, ServerFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}
FORM = {"when": "now", "minutes": 5}


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, settings: Settings) -> Path:
    settings.WHEEL_DIR = tmp_path
    path = tmp_path / "causeway-0.2.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def url(connector: Connector, action: str = "") -> str:
    return f"/sase/connectors/{connector.pk}/upgrade/{action}"


def tab(client: Client, connector: Connector) -> str:
    return client.get(f"/sase/connectors/{connector.pk}/servers/").text


@pytest.mark.parametrize("htmx", [False, True])
def test_an_upgrade_is_begun_shown_and_cancelled(operator_client: Client, server: Server, htmx: bool) -> None:
    connector, headers = server.connector, HTMX if htmx else {}
    assert "The console has version 0.2.0" in tab(operator_client, connector)
    assert url(connector) in tab(operator_client, connector)
    answer = operator_client.post(url(connector), FORM, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    run = Upgrade.objects.get()
    assert (run.version, run.in_window, run.drain_seconds) == ("0.2.0", False, 300)
    page = tab(operator_client, connector)
    assert "to 0.2.0" in page and "begun by operator" in page and "Cancel upgrade" in page
    assert "Cancel upgrade" in operator_client.get(url(connector, "state/")).text
    answer = operator_client.post(url(connector, "cancel/"), headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    run.refresh_from_db()
    assert (run.state, run.cancelled_by) == ("cancelled", "operator")
    assert "Cancelled by operator." in tab(operator_client, connector)
    assert operator_client.post(url(connector, "cancel/")).status_code == 404
    verbs = ["connector.upgrade", "connector.upgrade_cancel"]
    assert AuditRow.objects.filter(verb__in=verbs, actor="operator").count() == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": ""}, "whole number from 1 to 1,440"),
        ({"minutes": 0}, "whole number from 1 to 1,440"),
        ({"minutes": 1441}, "whole number from 1 to 1,440"),
        ({"minutes": "x"}, "whole number from 1 to 1,440"),
        ({"when": "soon"}, "When must be now or window."),
        ({"when": ""}, "When must be now or window."),
        ({"when": "window"}, "has no upgrade window"),
    ],
)
def test_what_is_not_legal_is_refused_beside_its_field(
    operator_client: Client, server: Server, change: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post(url(server.connector), FORM | change)
    assert answer.status_code == 422 and sentence in answer.text
    assert not Upgrade.objects.exists()


def test_viewers_see_and_may_not(viewer_client: Client, operator_client: Client, server: Server) -> None:
    connector = server.connector
    assert viewer_client.get(url(connector)).status_code == 403
    assert viewer_client.post(url(connector), FORM).status_code == 403
    operator_client.post(url(connector), FORM)
    assert viewer_client.post(url(connector, "cancel/")).status_code == 403
    page = viewer_client.get(url(connector, "state/"))
    assert page.status_code == 200 and "to 0.2.0" in page.text and "Cancel upgrade" not in page.text
    assert Upgrade.objects.get().state == "waiting"


def test_wrong_methods_and_unknown_ids(operator_client: Client, server: Server) -> None:
    connector = server.connector
    assert operator_client.put(url(connector)).status_code == 405
    assert operator_client.get(url(connector, "cancel/")).status_code == 405
    assert operator_client.post(url(connector, "state/")).status_code == 405
    for action in ("", "state/"):
        assert operator_client.get(f"/sase/connectors/connector-nobody/upgrade/{action}").status_code == 404
    assert operator_client.post("/sase/connectors/connector-nobody/upgrade/cancel/").status_code == 404


def test_the_cancel_of_one_connector_leaves_another_alone(operator_client: Client, server: Server) -> None:
    operator_client.post(url(server.connector), FORM)
    other = ConnectorFactory()
    assert operator_client.post(url(other, "cancel/")).status_code == 404
    assert Upgrade.objects.get().state == "waiting"


def test_the_dialog_warns_of_the_only_server(operator_client: Client, server: Server) -> None:
    connector = server.connector
    assert "Only one server or none" in operator_client.get(url(connector)).text
    ServerFactory(connector=connector, heard=True)
    text = operator_client.get(url(connector)).text
    assert "Only one server or none" not in text and "2 servers get version 0.2.0" in text


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("current", "All of its servers have version 0.2.0."),
        ("no wheel", "no causeway wheel"),
        ("open", "An upgrade of this connector is going on."),
    ],
)
def test_why_it_cannot_be_begun_is_said(
    operator_client: Client, server: Server, wheel: Path, case: str, sentence: str
) -> None:
    connector = server.connector
    if case == "current":
        server.version = "0.2.0"
        server.save()
    elif case == "no wheel":
        wheel.unlink()
    else:
        operator_client.post(url(connector), FORM)
    assert sentence in operator_client.get(url(connector)).text
    answer = operator_client.post(url(connector), FORM)
    assert answer.status_code == 422
    assert Upgrade.objects.count() == (1 if case == "open" else 0)


def test_the_tab_costs_the_same_for_many_servers(
    operator_client: Client, server: Server, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    connector = server.connector
    for _ in range(12):
        ServerFactory(connector=connector, heard=True)
    operator_client.post(url(connector), FORM)
    with django_assert_max_num_queries(10):  # of them one is the upgrade's
        tab(operator_client, connector)
    with django_assert_max_num_queries(8):
        operator_client.get(url(connector, "state/"))
