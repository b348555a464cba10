"""The gateways' pages: add, deploy, list, delete."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.models import AuditRow, Gateway, MachineKey
from tests.console.factories import GATEWAY_FORM, GatewayFactory
from tests.console.machine import Machine
from tests.queries import queries

pytestmark = pytest.mark.django_db
PANEL = {"HX-Request": "true", "HX-Target": "panel"}


def test_added_and_shown(administrator_client: Client) -> None:
    response = administrator_client.post("/gateways/add/", GATEWAY_FORM, follow=True)
    assert "gateway-x" in response.text
    assert Gateway.objects.get().region_id == "ap-southeast-1"
    assert "gateway-x" in administrator_client.get("/gateways/").text


def test_added_in_the_panel_leads_to_its_commands(administrator_client: Client) -> None:
    response = administrator_client.post("/gateways/add/", GATEWAY_FORM, headers=PANEL)
    assert f"/gateways/{Gateway.objects.get().pk}/deploy/" in response["HX-Location"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tunnel_port": 8443}, "must differ"),
        ({"client_port": 0}, "greater than or equal to 1"),
        ({"client_port": 65536}, "less than or equal to 65535"),
        ({"public_host": "not a host"}, "host name or an IP address"),
        ({"region": "moon-1"}, "valid choice"),
        ({"name": ""}, "required"),
    ],
)
def test_bad_input_is_named_and_kept(
    administrator_client: Client, change: dict[str, Any], sentence: str
) -> None:
    response = administrator_client.post("/gateways/add/", GATEWAY_FORM | change)
    assert response.status_code == 422
    assert sentence in response.text
    assert "192.0.2.1" in response.text or "public_host" in change
    assert not Gateway.objects.exists()


def test_the_list_says_what_is_known_and_a_dash_for_what_is_not(
    administrator_client: Client, gateway: Gateway
) -> None:
    text = administrator_client.get("/gateways/").text
    assert "Not enrolled" in text
    assert "—" in text
    Machine("gateway", gateway.pk).call(
        "gateway/status", {"open_flows": 12345, "envoy": "running", "tunnels": {}}
    )
    text = administrator_client.get("/gateways/").text
    assert "Reached" in text
    assert "12345" in text.replace(",", "")


def test_a_silent_gateways_last_count_is_not_shown_as_now(
    administrator_client: Client, gateway: Gateway
) -> None:
    Gateway.objects.update(
        enrolled_at=timezone.now(), heard_at=timezone.now() - timedelta(hours=1), open_flows=7_654_321
    )
    text = administrator_client.get("/gateways/").text
    assert "Not reached" in text
    assert "7,654,321" not in text and "7654321" not in text


def test_deleting_takes_its_key_away(administrator_client: Client, gateway: Gateway) -> None:
    machine = Machine("gateway", gateway.pk)
    assert administrator_client.get(f"/gateways/{gateway.pk}/confirm-delete/").status_code == 200
    administrator_client.post(f"/gateways/{gateway.pk}/delete/")
    assert not Gateway.objects.exists()
    assert not MachineKey.objects.exists()
    assert machine.call("gateway/config", {"applied_version": 1}).status_code == 401
    assert AuditRow.objects.filter(verb="gateway.delete").exists()


def test_a_gateway_that_carries_flows_is_not_deleted(administrator_client: Client, gateway: Gateway) -> None:
    machine = Machine("gateway", gateway.pk)
    machine.call("gateway/status", {"open_flows": 3, "envoy": "running", "tunnels": {}})
    response = administrator_client.post(f"/gateways/{gateway.pk}/delete/")
    assert response.status_code == 409
    assert "3 connections" in response.text
    assert Gateway.objects.exists()


def test_the_page_costs_the_same_for_three_and_thirty(administrator_client: Client) -> None:
    GatewayFactory.create_batch(3)
    administrator_client.get("/gateways/")
    few = queries(administrator_client.get, "/gateways/")
    GatewayFactory.create_batch(27)
    assert len(queries(administrator_client.get, "/gateways/")) == len(few) <= 8


def test_the_overview_counts_only_what_was_heard(viewer_client: Client, gateway: Gateway) -> None:
    assert "0 of 0" in viewer_client.get("/").text
    Gateway.objects.update(enrolled_at=timezone.now())
    assert "0 of 1" in viewer_client.get("/").text
    Gateway.objects.update(heard_at=timezone.now())
    assert "1 of 1" in viewer_client.get("/").text
