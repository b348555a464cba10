"""The way of somebody who sets alerts up, in Chromium: a channel, a threshold tried and saved, an alert silenced."""

import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from connectors.alerts import evaluation
from console.models import PushChannel
from tests.browser import log_in, settle
from tests.connectors.alert_world import history, measured
from tests.console.factories import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def logged_on(page: Page, live_server: LiveServer, operator: Any) -> Page:
    log_in(page, live_server.url, operator.username, PASSWORD)
    settle(page)
    return page


def test_from_no_channel_to_a_silenced_alert(
    logged_on: Any, live_server: LiveServer, receiver: Any, server: Any, connector: Any
) -> None:
    page = logged_on
    history(server, (3, 20, 150.0))
    page.goto(f"{live_server.url}/sase/connectors/")
    page.click(f"a[href='/sase/connectors/{connector.pk}/'] >> nth=0")
    panel = page.locator("#panel")
    panel.get_by_role("link", name="Alert Setting").click()
    expect(panel).to_contain_text("only take effect after you configure message push")

    panel.get_by_role("link", name="Configure message push").click()
    page.get_by_role("link", name="Add channel").click()
    panel.get_by_text("Documented JSON").click()
    panel.get_by_label("Name").fill("hook")
    panel.get_by_label("Address").fill(receiver.url)
    panel.get_by_role("button", name="OK").click()
    expect(panel.locator("#new-secret")).to_have_text(re.compile("^whsec_"))
    panel.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Test", exact=True).click()
    page.get_by_role("button", name="Send test message").click()
    expect(page.locator("#dialog")).to_contain_text("Answered 200: ok")
    page.locator("#dialog").get_by_role("link", name="Close").click()

    page.goto(f"{live_server.url}/sase/connectors/")
    page.click(f"a[href='/sase/connectors/{connector.pk}/'] >> nth=0")
    panel.get_by_role("link", name="Alert Setting").click()
    expect(panel.get_by_role("table")).to_be_visible()
    expect(panel).not_to_contain_text("configure message push")
    panel.get_by_role("row", name="Connector Server Bandwidth").get_by_role("link", name="Edit").click()
    panel.locator("#id_threshold").fill("120")
    panel.locator("#id_hold_seconds").fill("0")
    panel.locator("#id_enabled").check()
    panel.locator("#span").select_option("24h")
    panel.get_by_role("button", name="Try").click()
    expect(panel).to_contain_text("it would have fired once in the last 24 hours")
    # The threshold and one band for the one time, on the chart.
    expect(panel.locator(".js-plotly-plot .shapelayer path")).to_have_count(2)
    panel.get_by_role("button", name="OK").click()
    expect(panel).to_contain_text("120 Mbit/s")

    measured(server, timezone.now(), mbit=150)
    evaluation.evaluate()
    page.goto(f"{live_server.url}/alerts/")
    row = page.get_by_role("row", name="Connector Server Bandwidth")
    expect(row).to_contain_text("Firing")
    row.get_by_role("link", name="Silence").click()
    page.locator("#dialog").get_by_role("button", name="Silence").click()
    expect(row).to_contain_text("Silenced until")
    assert PushChannel.objects.get().delivered_at
