"""Upgrades on their pages, a connector's on its tab Deploy Server and an area's on the list of gateways."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from connectors.models import Server
from console.models import AuditRow, Gateway
from tests.connectors.factories import ConnectorFactory, ServerFactory
from tests.connectors.fleet.upgrade_world import GatewayAgent, Gateways, Servers, World
from tests.console.factories import GatewayFactory
from tests.queries import queries
from tests.responses import words

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}
FORM = {"when": "now", "start": "", "end": "", "minutes": 5}
WINDOW = FORM | {"when": "window"}


@pytest.mark.parametrize("htmx", [False, True])
def test_an_upgrade_is_begun_shown_and_cancelled(operator_client: Client, world: World, htmx: bool) -> None:
    def page() -> str:
        return words(operator_client.get(world.page))

    headers, machine, owner = HTMX if htmx else {}, world.upgrades.machine, world.upgrades.owner
    assert "The console has version 0.2.0" in page() and f"1 {machine} has another" in page()
    assert f'href="{world.url}"' in page()
    answer = operator_client.post(world.url, FORM, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    assert (world.run.version, world.run.window, world.run.drain_seconds) == ("0.2.0", None, 300)
    assert "to 0.2.0" in page() and "begun by operator" in page() and "Cancel upgrade" in page()
    world.upgrades.advance()
    state = words(operator_client.get(f"{world.url}state/"))
    assert "Draining" in state and "Cancel upgrade" in state
    answer = operator_client.post(f"{world.url}cancel/", headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    world.upgrades.advance()
    assert (world.run.state, world.run.cancelled_by) == ("cancelled", "operator")
    assert "Cancelled by operator." in page()
    assert operator_client.post(f"{world.url}cancel/").status_code == 404
    verbs = [f"{owner}.upgrade", f"{owner}.upgrade_cancel"]
    assert AuditRow.objects.filter(verb__in=verbs, actor="operator", target=world.owner.pk).count() == 2


def test_the_list_of_gateways_names_the_area_and_the_gateway_in_hand(
    operator_client: Client, gateways: Gateways
) -> None:
    operator_client.post(gateways.url, FORM)
    gateways.upgrades.advance()
    page = operator_client.get(gateways.page).text
    assert "Upgrade of Mainland China" in page and "Upgrading" in page


def test_a_window_is_given_and_shown(operator_client: Client, gateways: Gateways) -> None:
    answer = operator_client.post(gateways.url, WINDOW | {"start": "20:00", "end": "02:30"})
    assert answer.status_code == 302
    assert gateways.run.window == (time(20), time(2, 30))
    assert "Gateways are begun from 20:00 to 02:30 (UTC)." in words(operator_client.get(gateways.page))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": ""}, "whole number from 1 to 1,440"),
        ({"minutes": 0}, "whole number from 1 to 1,440"),
        ({"minutes": 1441}, "whole number from 1 to 1,440"),
        ({"minutes": "x"}, "whole number from 1 to 1,440"),
        ({"when": "soon"}, "When must be now or window."),
        ({"when": ""}, "When must be now or window."),
    ],
)
def test_what_is_not_legal_is_refused_beside_its_field(
    operator_client: Client, world: World, change: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post(world.url, FORM | change)
    assert answer.status_code == 422 and sentence in answer.text
    assert not world.upgrades.runs.objects.exists()


def test_a_connector_without_a_window_is_not_upgraded_in_it(
    operator_client: Client, servers: Servers
) -> None:
    answer = operator_client.post(servers.url, WINDOW)
    assert answer.status_code == 422 and "has no upgrade window" in answer.text


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("", "", "Start and End are required"),
        ("20:00", "", "Start and End are required"),
        ("8 pm", "21:00", "HH:MM"),
        ("20:00", "20:00", "a start and another end"),
    ],
)
def test_times_of_day_that_are_no_window_are_refused(
    operator_client: Client, gateways: Gateways, start: str, end: str, sentence: str
) -> None:
    answer = operator_client.post(gateways.url, WINDOW | {"start": start, "end": end})
    assert answer.status_code == 422 and sentence in answer.text
    assert not gateways.upgrades.runs.objects.exists()


def test_viewers_see_the_state_and_no_button(
    viewer_client: Client, operator_client: Client, world: World
) -> None:
    operator_client.post(world.url, FORM)
    text = viewer_client.get(f"{world.url}state/").text
    assert "to 0.2.0" in text and "Cancel upgrade" not in text


def test_a_forged_post_begins_nothing(operator_client: Client, world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator_client.cookies
    assert strict.post(world.url, FORM).status_code == 403
    assert not world.upgrades.runs.objects.exists()


def test_the_cancel_of_one_connector_leaves_another_alone(operator_client: Client, servers: Servers) -> None:
    operator_client.post(servers.url, FORM)
    other = f"/sase/connectors/{ConnectorFactory().pk}/upgrade/cancel/"
    assert operator_client.post(other).status_code == 404
    assert servers.run.state == "waiting"


def test_the_dialog_says_what_follows_and_warns_of_the_only_machine(
    operator_client: Client, world: World
) -> None:
    machine = world.upgrades.machine
    text = words(operator_client.get(world.url))
    assert f"1 {machine} gets version 0.2.0" in text and f"Only one {machine} or none" in text
    assert "break then" in text or isinstance(world, Servers)
    world.another()
    text = words(operator_client.get(world.url))
    assert f"2 {machine}s get version 0.2.0" in text and f"Only one {machine} or none" not in text


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("current", "All of its {machine}s have version 0.2.0."),
        ("no wheel", "no causeway wheel"),
        ("open", "An upgrade of this {owner} is going on."),
        ("no machine", "The {owner} has no {machine} yet."),
    ],
)
def test_why_it_cannot_be_begun_is_said(
    operator_client: Client, world: World, wheel: Path, case: str, sentence: str
) -> None:
    if case == "current":
        world.agent.says("0.2.0")
    elif case == "no wheel":
        wheel.unlink()
    elif case == "open":
        operator_client.post(world.url, FORM)
    else:
        Server.objects.all().delete()
        Gateway.objects.update(enrolled_at=None)
        assert f'href="{world.url}"' not in operator_client.get(world.page).text
    names = {"machine": world.upgrades.machine, "owner": world.upgrades.owner}
    assert sentence.format(**names) in operator_client.get(world.url).text
    assert operator_client.post(world.url, FORM).status_code == 422
    assert world.upgrades.runs.objects.count() == (1 if case == "open" else 0)


# Of the queries for a connector's tab, two are the upgrade's.
@pytest.mark.parametrize(("kind", "most"), [("servers", 10), ("gateways", 8)])
def test_pages_cost_the_same_for_many_machines(
    operator_client: Client, kind: str, most: int, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue(kind)
    for region in ("cn-shanghai", "ap-southeast-1", "eu-central-1"):
        for _ in range(3):
            GatewayAgent(GatewayFactory(region_id=region))
    if isinstance(world, Servers):
        ServerFactory.create_batch(12, connector=world.owner, heard=True)
    operator_client.post(world.url, FORM)
    world.upgrades.advance()
    assert len(queries(operator_client.get, world.page)) <= most
    assert len(queries(operator_client.get, f"{world.url}state/")) <= 8
    assert len(queries(operator_client.get, world.url)) <= 8
