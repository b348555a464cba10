"""The upgrade of an area's gateways on their list: dialog, progress, cancelling."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from console.machines.gateway_upgrades import GATEWAYS
from console.models import AreaUpgrade, AuditRow, Gateway
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.responses import words

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}
FORM = {"when": "now", "start": "", "end": "", "minutes": 5}
URL = "/gateways/upgrades/mainland-china/"
STATUS = {"version": "0.1.0", "open_flows": 0, "envoy": "running", "tunnels": {}}


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, settings: Settings) -> Path:
    settings.WHEEL_DIR = tmp_path
    path = tmp_path / "causeway-0.2.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


@pytest.fixture
def enrolled(gateway: Gateway) -> Gateway:
    Machine("gateway", gateway.pk).call("gateway/status", STATUS)
    gateway.refresh_from_db()
    return gateway


def page(client: Client) -> str:
    return client.get("/gateways/").text


@pytest.mark.parametrize("htmx", [False, True])
def test_an_upgrade_is_begun_shown_and_cancelled(
    operator_client: Client, enrolled: Gateway, htmx: bool
) -> None:
    headers = HTMX if htmx else {}
    assert "Upgrade of Mainland China" in page(operator_client) and URL in page(operator_client)
    assert "1 gateway has another" in " ".join(page(operator_client).split())
    answer = operator_client.post(URL, FORM, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    run = AreaUpgrade.objects.get()
    assert (run.version, run.window, run.drain_seconds) == ("0.2.0", None, 300)
    text = page(operator_client)
    assert "to 0.2.0" in text and "begun by operator" in text and "Cancel upgrade" in text
    GATEWAYS.advance()
    assert "Draining" in operator_client.get(f"{URL}state/").text
    assert "Upgrading" in page(operator_client), "the gateway's own row tells"
    answer = operator_client.post(f"{URL}cancel/", headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    GATEWAYS.advance()
    run.refresh_from_db()
    assert (run.state, run.cancelled_by) == ("cancelled", "operator")
    assert "Cancelled by operator." in page(operator_client)
    assert operator_client.post(f"{URL}cancel/").status_code == 404
    verbs = ["area.upgrade", "area.upgrade_cancel"]
    assert AuditRow.objects.filter(verb__in=verbs, actor="operator", target="mainland-china").count() == 2


def test_a_window_is_given_and_shown(operator_client: Client, enrolled: Gateway) -> None:
    given = FORM | {"when": "window", "start": "20:00", "end": "02:30"}
    assert operator_client.post(URL, given).status_code == 302
    assert AreaUpgrade.objects.get().window == (time(20), time(2, 30))
    assert "Gateways are begun from 20:00 to 02:30 UTC." in " ".join(page(operator_client).split())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": 0}, "whole number from 1 to 1,440"),
        ({"minutes": "x"}, "whole number from 1 to 1,440"),
        ({"when": "soon"}, "When must be now or window."),
        ({"when": "window"}, "Start and End are required"),
        ({"when": "window", "start": "20:00"}, "Start and End are required"),
        ({"when": "window", "start": "8 pm", "end": "21:00"}, "HH:MM"),
        ({"when": "window", "start": "20:00", "end": "20:00"}, "a start and another end"),
    ],
)
def test_what_is_not_legal_is_refused_beside_its_field(
    operator_client: Client, enrolled: Gateway, change: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post(URL, FORM | change)
    assert answer.status_code == 422 and sentence in answer.text
    assert not AreaUpgrade.objects.exists()


def test_viewers_see_and_may_not(viewer_client: Client, operator_client: Client, enrolled: Gateway) -> None:
    assert viewer_client.get(URL).status_code == 403
    assert viewer_client.post(URL, FORM).status_code == 403
    operator_client.post(URL, FORM)
    assert viewer_client.post(f"{URL}cancel/").status_code == 403
    shown = viewer_client.get(f"{URL}state/")
    assert shown.status_code == 200 and "to 0.2.0" in shown.text and "Cancel upgrade" not in shown.text
    assert AreaUpgrade.objects.get().state == "waiting"


def test_a_forged_post_begins_nothing(operator_client: Client, enrolled: Gateway) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator_client.cookies
    assert strict.post(URL, FORM).status_code == 403
    assert not AreaUpgrade.objects.exists()


def test_wrong_methods_and_unknown_ids(operator_client: Client, enrolled: Gateway) -> None:
    assert operator_client.put(URL).status_code == 405
    assert operator_client.get(f"{URL}cancel/").status_code == 405
    assert operator_client.post(f"{URL}state/").status_code == 405
    for action in ("", "state/"):
        assert operator_client.get(f"/gateways/upgrades/the-moon/{action}").status_code == 404
    assert operator_client.post("/gateways/upgrades/the-moon/cancel/").status_code == 404


def test_the_dialog_says_what_breaks_and_warns_of_the_only_gateway(
    operator_client: Client, enrolled: Gateway
) -> None:
    text = words(operator_client.get(URL))
    assert "1 gateway gets version 0.2.0" in text and "break then" in text
    assert "Only one gateway or none of Mainland China" in text
    Machine("gateway", GatewayFactory().pk).call("gateway/status", STATUS)
    text = words(operator_client.get(URL))
    assert "2 gateways get version 0.2.0" in text and "Only one gateway or none" not in text


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("current", "All of its gateways have version 0.2.0."),
        ("no wheel", "no causeway wheel"),
        ("open", "An upgrade of this area is going on."),
        ("no gateway", "The area has no gateway yet."),
    ],
)
def test_why_it_cannot_be_begun_is_said(
    operator_client: Client, enrolled: Gateway, wheel: Path, case: str, sentence: str
) -> None:
    if case == "current":
        Gateway.objects.update(software="0.2.0")
    elif case == "no wheel":
        wheel.unlink()
    elif case == "open":
        operator_client.post(URL, FORM)
    else:
        Gateway.objects.update(enrolled_at=None)
        assert "Upgrade of Mainland China" not in page(operator_client)
    assert sentence in operator_client.get(URL).text
    assert operator_client.post(URL, FORM).status_code == 422
    assert AreaUpgrade.objects.count() == (1 if case == "open" else 0)


def test_the_list_costs_the_same_for_many_gateways_and_areas(
    operator_client: Client, enrolled: Gateway, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for region in ("cn-shanghai", "ap-southeast-1", "eu-central-1"):
        for _ in range(3):
            Machine("gateway", GatewayFactory(region_id=region).pk).call("gateway/status", STATUS)
    operator_client.post(URL, FORM)
    GATEWAYS.advance()
    with django_assert_max_num_queries(8):
        page(operator_client)
    with django_assert_max_num_queries(8):
        operator_client.get(f"{URL}state/")
    with django_assert_max_num_queries(8):
        operator_client.get(URL)
