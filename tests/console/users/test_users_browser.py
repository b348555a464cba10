"""People in Chromium: an invitation from the first click to the new user's log-in, a second factor, the keyboard."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from console.core import second_factor
from console.models import AccessKey, SecondFactor, User
from tests.browser import log_in, settle
from tests.console.factories import PASSWORD

NEW = "an entirely new pass phrase"


@pytest.fixture
def site(live_server: Any, transactional_db: None, administrator: User, settings: Any) -> str:
    settings.PUBLIC_URL = str(live_server.url)
    return str(live_server.url)


@pytest.fixture
def users(page: Page, site: str) -> Iterator[Page]:
    log_in(page, site, "administrator", PASSWORD, "/users/")
    settle(page)
    yield page


def test_an_invitation_from_the_first_click_to_the_log_in(users: Page, site: str, browser: Browser) -> None:
    users.get_by_role("link", name="Add user").click()
    panel = users.locator("dialog#panel")
    panel.get_by_label("User name").fill("anna")
    panel.get_by_label(re.compile("^Operator")).check()
    panel.get_by_label(re.compile("^Show the link to me")).check()
    panel.get_by_role("button", name="OK").click()
    link = panel.locator("#password-link")
    expect(link).to_be_visible()
    url = link.inner_text()
    panel.get_by_role("link", name="Done").click()
    expect(users.get_by_role("row", name="anna")).to_contain_text("Invited")

    context = browser.new_context(java_script_enabled=False)
    invited = context.new_page()
    invited.goto(url)
    invited.locator("input[name=password]").fill(NEW)
    invited.locator("input[name=again]").fill(NEW)
    invited.get_by_role("button", name="Set password").click()
    expect(invited.get_by_text("Your password was set.")).to_be_visible()
    log_in(invited, site, "anna", NEW, "/profile/")
    expect(invited.get_by_text("This one")).to_be_visible()

    users.get_by_role("row", name="anna").get_by_role("link", name="Disable").click()
    users.locator("dialog#dialog").get_by_role("button", name="Disable").click()
    expect(users.get_by_role("row", name="anna")).to_contain_text("Disabled")
    invited.reload()
    expect(invited).to_have_url(re.compile("/log-in/"))
    context.close()


def test_a_second_factor_from_set_up_to_log_in_by_keyboard(
    page: Page, site: str, administrator: User
) -> None:
    log_in(page, site, "administrator", PASSWORD, "/profile/")
    settle(page)
    page.get_by_role("link", name="Set up").focus()
    page.keyboard.press("Enter")
    panel = page.locator("dialog#panel")
    expect(panel.get_by_role("img", name="QR code of the key below")).to_be_visible()
    secret = panel.locator("#factor-secret").inner_text()

    def code() -> str:
        return second_factor._totp(secret).generate(int(time.time())).decode()

    panel.get_by_label("Code").fill(code())
    page.keyboard.press("Enter")
    expect(panel.locator("#recovery-codes")).to_be_visible()
    SecondFactor.objects.update(last_step=0)
    page.goto(f"{site}/profile/")
    page.get_by_role("button", name="administrator").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{site}/log-in/")
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Code").fill(code())
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}/")


def test_an_access_key_is_made_and_its_secret_stands_in_the_panel_alone(page: Page, site: str) -> None:
    log_in(page, site, "administrator", PASSWORD, "/access-keys/")
    settle(page)
    page.get_by_role("link", name="Create access key").click()
    panel = page.locator("dialog#panel")
    panel.get_by_role("button", name="Create").click()
    secret = panel.locator("#new-secret")
    expect(secret).to_be_visible()
    said = secret.inner_text()
    panel.get_by_role("link", name="Done").click()
    expect(page.get_by_role("row", name=AccessKey.objects.get().pk)).to_contain_text("Never")
    assert said not in page.content()
