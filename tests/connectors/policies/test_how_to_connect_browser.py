"""How to connect, in Chromium: from an account's menu by the keyboard to a copied command; wide and narrow screens."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser import log_in, settle
from tests.connectors import factories
from tests.console.factories import PASSWORD, GatewayFactory
from tests.roaming.factories import AccountFactory

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.timeout(120)]


def test_a_command_is_copied_by_the_keyboard(page: Page, live_server: LiveServer, operator: Any) -> None:
    account = AccountFactory(username="anna.berg")
    gateway = GatewayFactory()
    factories.enrolled_gateway(gateway)
    factories.application("wiki", addresses=["wiki.corp.example"])
    factories.policy(factories.ConnectorFactory(name="office"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    log_in(page, live_server.url, operator.username, PASSWORD)
    page.goto(live_server.url + reverse("roaming:accounts", args=[account.instance_id]))
    settle(page)
    page.get_by_role("row", name="anna.berg").get_by_text("More", exact=True).focus()
    page.keyboard.press("Enter")
    link = page.locator("#row-menu").get_by_role("link", name="How to connect")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How anna.berg connects")).to_be_visible()
    settle(page)
    page.get_by_label("curl: Fetch a page").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --proxy ") and copied.endswith(" http://wiki.corp.example/")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is wider than {width} px"
    page.goto(live_server.url + reverse("roaming:instance_connect", args=[account.instance_id]))
    expect(page.get_by_role("link", name="How to connect", exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    page.goto("about:blank")  # no live part asks while the database is emptied
