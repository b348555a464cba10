"""An administrator's first walk, in Chromium on the running demo: add a connector, see traffic, flip the switch."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.demo import Demo, wait_until


def log_in(page: Page, demo: Demo) -> None:
    admin = demo.world["admin"]
    page.goto(demo.console)
    page.get_by_label("Username").fill(admin["username"])
    page.get_by_label("Password").fill(admin["password"])
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def settle(page: Page) -> None:
    """Scripts are in force from here on; an earlier click would take the plain way."""
    page.locator("html[data-ready]").wait_for(state="attached")


def new_flow_status(demo: Demo) -> int:
    with demo.connect("echo.corp.example", 7) as flow:
        return flow.status


@pytest.mark.timeout(120)
def test_add_a_connector_see_the_chart_and_flip_the_switch(demo: Demo, page: Page):
    log_in(page, demo)
    page.get_by_role("link", name="Network Settings").click()
    settle(page)

    page.get_by_role("link", name="Add Connector").click()
    panel = page.get_by_role("dialog", name="Add Connector")
    expect(panel.get_by_text("Important")).to_be_visible()
    name = f"branch-{uuid.uuid4().hex[:8]}"
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
    expect(details.locator(".chart .scatterlayer .trace path.js-line").first).to_be_attached(timeout=15_000)
    expect(details.get_by_text(re.compile(r"bit/s at ")).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()

    switch = head_office.get_by_role("switch")
    switch.click()
    question = page.get_by_role("dialog", name=f"Disable {demo.connector()['name']}?")
    expect(question.get_by_text("Important")).to_be_visible()
    try:
        question.get_by_role("button", name="Disable").click()
        expect(head_office).to_contain_text("Cut confirmed by 2 of 2 gateways", timeout=15_000)
        assert new_flow_status(demo) == 403
    finally:
        head_office.get_by_role("switch", name=re.compile("Instance Switch")).click()
    expect(head_office.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    wait_until(lambda: new_flow_status(demo) == 200, 15, what="a flow after switching on again")


def test_the_same_without_javascript(demo: Demo, page_without_javascript: Page):
    page = page_without_javascript
    log_in(page, demo)
    page.get_by_role("link", name="Network Settings").click()
    page.get_by_role("link", name="Add Connector").click()
    name = f"branch-{uuid.uuid4().hex[:8]}"
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
