"""An administrator's first walk, in Chromium on the running demo: add a connector, see traffic, flip the switch."""

import re
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests import browser
from tests.browser import settle
from tests.demo import Demo, post, wait_until


def log_in(page: Page, demo: Demo) -> None:
    admin = demo.world["admin"]
    browser.log_in(page, demo.console, admin["username"], admin["password"])


def taken_away(demo: Demo, name: str, *kinds: str) -> None:
    """Delete the objects to which a walk gave this name, of the kinds in the console's addresses."""
    with closing(demo.admin_client()) as admin:
        for kind in kinds:
            page = admin.get(f"/sase/{kind}/", params={"q": name}).text
            for found in set(re.findall(rf"/sase/{kind}/((?:fs|connector)-[0-9a-f]{{16}})/", page)):
                if f"{name}</a>" in page and not post(admin, f"/sase/{kind}/{found}/delete/").is_success:
                    raise AssertionError(f"{found} is left")


@pytest.fixture
def name(demo: Demo) -> Iterator[str]:
    """Name the walk's connector, which is gone afterwards."""
    made = f"branch-{uuid.uuid4().hex[:8]}"
    yield made
    taken_away(demo, made, "connectors")


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("switched_on")
def test_add_a_connector_see_the_chart_and_flip_the_switch(demo: Demo, page: Page, name: str) -> None:
    log_in(page, demo)
    page.get_by_role("link", name="Network Settings").click()
    expect(page).to_have_url(f"{demo.console}/sase/connectors/")
    settle(page)

    page.get_by_role("link", name="Add Connector").click()
    panel = page.get_by_role("dialog", name="Add Connector")
    expect(panel.get_by_text("Important")).to_be_visible()
    panel.get_by_label("Region").select_option("ap-southeast-1")
    panel.get_by_label("Instance Name").fill(name)
    panel.get_by_role("button", name="OK").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Offline")
    expect(panel).to_be_hidden()

    head_office = page.get_by_role("row", name=demo.connector()["name"])
    expect(head_office).to_contain_text("Online")
    head_office.get_by_role("link", name="Details").click()
    details = page.get_by_role("dialog", name=demo.connector()["name"])
    expect(details.locator(".chart .scatterlayer .trace path.js-line").first).to_be_attached(timeout=30_000)
    expect(details.get_by_text(re.compile(r"bit/s at ")).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()

    switch = head_office.get_by_role("switch")
    switch.click()
    question = page.get_by_role("dialog", name=f"Disable {demo.connector()['name']}?")
    expect(question.get_by_text("Important")).to_be_visible()
    question.get_by_role("button", name="Disable").click()
    expect(head_office).to_contain_text("Cut confirmed by 2 of 2 gateways", timeout=30_000)
    assert demo.verdict()[0] == 403
    head_office.get_by_role("switch", name=re.compile("Instance Switch")).click()
    expect(head_office.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    wait_until(lambda: demo.verdict()[0] == 200, 30, what="a flow after switching on again")


def test_the_same_without_javascript(demo: Demo, page_without_javascript: Page, name: str) -> None:
    page = page_without_javascript
    log_in(page, demo)
    page.get_by_role("link", name="Network Settings").click()
    page.get_by_role("link", name="Add Connector").click()
    page.get_by_label("Instance Name").fill(name)
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("Region is required").first).to_be_visible()
    expect(page.get_by_label("Instance Name")).to_have_value(name)
    page.get_by_label("Region").select_option("cn-shanghai")
    page.get_by_role("button", name="OK").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_be_visible()
    row.get_by_role("switch").click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("row", name=name).get_by_role("switch")).to_have_attribute(
        "aria-checked", "false"
    )
