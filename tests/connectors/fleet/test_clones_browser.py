"""Somebody finds two machines in one, in Chromium: both are named, and a choice has one of them enroll anew."""

import os
from pathlib import Path
from typing import Any, Literal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from connectors.models import Connector, Server
from console.models import AgentStart, Gateway
from tests.browser import log_in, settle
from tests.console.factories import PASSWORD
from tests.console.machine import Machine
from tests.console.machines.test_clones import BY_TURNS, calls

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def cloned(connector: Connector, gateway: Gateway) -> Machine:
    """A server and a gateway, each of which is two."""
    calls(Machine("gateway", gateway.pk), *BY_TURNS)
    machine = Machine("server", connector.pk)
    calls(machine, *BY_TURNS)
    Server.objects.update(heard_at=timezone.now())
    return machine


def test_the_right_one_is_kept_and_the_other_enrolls_anew(
    page: Page, live_server: Any, operator: Any, connector: Connector, cloned: Machine
) -> None:
    log_in(page, live_server.url, operator.username, PASSWORD, "/sase/connectors/")
    settle(page)
    page.goto(f"{live_server.url}/sase/connectors/{connector.pk}/servers/")
    settle(page)
    notice = page.get_by_role("alert").filter(has_text="Two machines in one")
    expect(notice.get_by_role("row", name="host-a")).to_contain_text("127.0.0.1")
    notice.get_by_role("row", name="host-b").get_by_role("link", name="Enroll anew").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("host-b (127.0.0.1)")
    expect(dialog).to_contain_text("The other machine goes on")
    dialog.get_by_role("button", name="Enroll anew").click()
    expect(page.get_by_text("has to enroll anew. The other machine goes on")).to_be_visible()
    expect(page.get_by_text("Two machines in one")).to_have_count(0)
    assert AgentStart.objects.get(key=cloned.id, refused_at__isnull=False).hostname == "host-b"
    page.goto("about:blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_screenshots(
    page: Page,
    live_server: Any,
    operator: Any,
    connector: Connector,
    cloned: Machine,
    scheme: Literal["light", "dark"],
    width: int,
    tmp_path: Path,
) -> None:
    """With ``CAUSEWAY_SCREENSHOTS`` the pictures stay to be looked at."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    log_in(page, live_server.url, operator.username, PASSWORD, "/gateways/")
    folder = Path(os.environ.get("CAUSEWAY_SCREENSHOTS", tmp_path))
    for name, path in (("server", f"/sase/connectors/{connector.pk}/servers/"), ("gateways", "/gateways/")):
        page.goto(f"{live_server.url}{path}")
        expect(page.get_by_text("Two machines in one").first).to_be_visible()
        page.screenshot(path=folder / f"clone-{name}-{scheme}-{width}.png")
    page.goto("about:blank")
