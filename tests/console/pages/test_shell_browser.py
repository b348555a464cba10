"""The shell in a browser: panel, dialog, history, keyboard, lists, charts; and the same without JavaScript."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from console.models import Region
from tests.browser import log_in, settle
from tests.console.factories import PASSWORD
from tests.console.shell_site.fixtures import shell_site

__all__ = ["shell_site"]


@pytest.fixture
def site(live_server: Any, shell_site: None, transactional_db: None, operator: Any) -> str:
    return str(live_server.url)


@pytest.fixture
def regions(page: Page, site: str) -> Iterator[Page]:
    page.set_default_timeout(10_000)
    log_in(page, site, "operator", PASSWORD, "/regions/")
    settle(page)
    yield page


def panel(page: Page) -> Any:
    return page.locator("dialog#panel")


def test_a_form_in_the_panel_adds_to_the_list_behind_it(regions: Page, site: str) -> None:
    regions.goto(f"{site}/regions/?sort=-name")
    regions.get_by_role("link", name="Add region").click()
    expect(panel(regions)).to_be_visible()
    expect(regions).to_have_url(f"{site}/regions/add/")
    expect(regions).to_have_title("Add region · Causeway")
    regions.get_by_label("Region name").fill("Atlantis")
    regions.get_by_label("All users").check()
    panel(regions).get_by_role("button", name="OK").click()
    expect(panel(regions)).to_be_hidden()
    expect(regions.get_by_text("Atlantis was added.")).to_be_visible()
    expect(regions.get_by_role("link", name="Atlantis")).to_be_visible()
    expect(regions).to_have_url(f"{site}/regions/?sort=-name")
    expect(regions).to_have_title("Regions · Causeway")


def test_a_refused_form_stays_open_with_its_input(regions: Page, browser_errors: list[str]) -> None:
    regions.get_by_role("link", name="Add region").click()
    regions.get_by_label("Region name").fill("Frankfurt")
    regions.get_by_label("All users").check()
    panel(regions).get_by_role("button", name="OK").click()
    expect(panel(regions).locator(".error-summary")).to_be_focused()
    expect(regions.get_by_label("Region name")).to_have_value("Frankfurt")
    expect(regions.get_by_label("Region name")).to_have_accessible_description(
        "1 to 20 characters. Another region has this name. Choose one that is free."
    )
    assert all("422" in error for error in browser_errors)
    browser_errors.clear()


@pytest.mark.parametrize("way", ["Escape", "cross", "backdrop", "Cancel", "back"])
def test_the_panel_closes_and_gives_the_focus_back(regions: Page, site: str, way: str) -> None:
    link = regions.get_by_role("link", name="Add region")
    link.focus()
    regions.keyboard.press("Enter")
    expect(panel(regions)).to_be_visible()
    expect(regions.get_by_label("Area", exact=False).last).to_be_focused()
    if way == "Escape":
        regions.keyboard.press("Escape")
    elif way == "cross":
        panel(regions).get_by_role("button", name="Close").click()
    elif way == "backdrop":
        regions.mouse.click(20, 500)
    elif way == "Cancel":
        panel(regions).get_by_role("link", name="Cancel").click()
    else:
        regions.go_back()
    expect(panel(regions)).to_be_hidden()
    expect(regions).to_have_url(f"{site}/regions/")
    expect(link).to_be_focused()


def test_back_and_forward_close_and_open_the_panel(regions: Page, site: str) -> None:
    regions.get_by_role("link", name="Add region").click()
    expect(panel(regions)).to_be_visible()
    regions.go_back()
    expect(panel(regions)).to_be_hidden()
    regions.go_forward()
    expect(panel(regions).get_by_role("heading", name="Add region")).to_be_visible()
    expect(regions).to_have_url(f"{site}/regions/add/")
    regions.reload()
    expect(regions.get_by_role("heading", name="Add region")).to_be_visible()
    expect(panel(regions)).to_be_hidden()


def test_the_focus_stays_in_the_panel(regions: Page) -> None:
    regions.get_by_role("link", name="Add region").click()
    expect(panel(regions)).to_be_visible()
    for _ in range(25):
        regions.keyboard.press("Tab")
        outside = regions.evaluate(
            "document.activeElement !== document.body && !document.activeElement.closest('#panel')"
        )
        assert not outside


def test_a_dialog_over_the_panel_refreshes_both(regions: Page, site: str) -> None:
    regions.get_by_role("link", name="China (Beijing)").click()
    expect(panel(regions).locator("[data-position]")).to_have_text("1")
    panel(regions).get_by_role("link", name="Disable").click()
    dialog = regions.locator("dialog#dialog")
    expect(dialog.get_by_text("blocks all its users")).to_be_visible()
    dialog.get_by_role("button", name="Disable").click()
    expect(dialog).to_be_hidden()
    expect(panel(regions).locator("[data-position]")).to_have_text("1001")
    expect(panel(regions).get_by_text("China (Beijing) was disabled.")).to_be_visible()
    regions.keyboard.press("Escape")
    expect(panel(regions)).to_be_hidden()
    row = regions.get_by_role("row").filter(has_text="cn-beijing")
    expect(row.get_by_text("Disabled")).to_be_visible()
    expect(regions).to_have_url(f"{site}/regions/")


def test_a_panel_that_was_closed_stays_closed_when_its_answer_comes_late(regions: Page) -> None:
    regions.get_by_role("link", name="China (Beijing)").click()
    panel(regions).get_by_role("link", name="Disable").click()
    held: list[Route] = []
    regions.route("**/regions/cn-beijing/", lambda route: held.append(route))
    with regions.expect_request("**/regions/cn-beijing/"):
        regions.locator("dialog#dialog").get_by_role("button", name="Disable").click()
    regions.keyboard.press("Escape")
    expect(panel(regions)).to_be_hidden()
    with regions.expect_event("requestfinished", lambda request: request.url.endswith("/cn-beijing/")):
        for route in held:
            route.continue_()
    row = regions.get_by_role("row").filter(has_text="cn-beijing")
    expect(row.get_by_text("Disabled")).to_be_visible()
    regions.evaluate("() => new Promise((done) => setTimeout(done))")  # whatever the answer has set off
    expect(panel(regions)).to_be_hidden()


def test_a_switch_asks_first_and_then_says_the_new_state(regions: Page) -> None:
    regions.get_by_role("switch", name="Instance Switch of Frankfurt").click()
    dialog = regions.locator("dialog#dialog")
    dialog.get_by_role("button", name="Disable").click()
    row = regions.get_by_role("row").filter(has_text="Frankfurt")
    expect(row.get_by_text("Disabled")).to_be_visible()
    expect(regions.get_by_text("Frankfurt was disabled.")).to_be_visible()


def test_deleting_from_the_panel_closes_it(regions: Page) -> None:
    regions.get_by_role("link", name="Frankfurt").click()
    panel(regions).get_by_role("button", name="Delete").click()
    expect(regions.get_by_text("Frankfurt was deleted.")).to_be_visible()
    expect(panel(regions)).to_be_hidden()
    expect(regions.get_by_role("link", name="Frankfurt")).to_have_count(0)


def test_lists_sort_search_and_page_in_place_and_back(regions: Page, site: str) -> None:
    Region.objects.bulk_create(
        Region(pk=f"many-{n}", name=f"Many {n:03}", area_id="singapore", position=9) for n in range(60)
    )
    regions.evaluate("window.stayed = true")
    regions.get_by_role("searchbox").fill("many")
    regions.keyboard.press("Enter")
    expect(regions).to_have_url(re.compile(r"\?.*q=many"))
    expect(regions.get_by_text("Showing 1–50 of 60")).to_be_visible()
    regions.get_by_role("link", name="Next page").click()
    expect(regions.get_by_text("Showing 51–60 of 60")).to_be_visible()
    regions.get_by_role("link", name="Position").click()
    expect(regions.get_by_role("columnheader", name="Position")).to_have_attribute("aria-sort", "ascending")
    regions.go_back()
    expect(regions.get_by_text("Showing 51–60 of 60")).to_be_visible()
    regions.go_back()
    regions.go_back()
    expect(regions).to_have_url(f"{site}/regions/")
    expect(regions.get_by_text("Showing 1–50 of 65")).to_be_visible()
    assert regions.evaluate("window.stayed")


def test_a_live_list_follows_but_not_from_under_the_hand(regions: Page, site: str) -> None:
    regions.goto(f"{site}/watch/")
    regions.get_by_role("link", name="China (Beijing)").focus()
    Region.objects.filter(pk="eu-central-1").update(name="Renamed")
    expect(regions.get_by_role("link", name="Renamed")).to_be_visible()
    expect(regions.get_by_role("link", name="China (Beijing)")).to_be_focused()
    row = regions.get_by_role("row").filter(has_text="cn-beijing")
    row.get_by_role("button", name="More").click()
    Region.objects.filter(pk="eu-central-1").update(name="Renamed again")
    with regions.expect_response("**/watch/"):
        pass
    expect(regions.get_by_role("link", name="Disable", exact=True)).to_be_visible()
    regions.keyboard.press("Escape")
    expect(regions.get_by_role("link", name="Renamed again")).to_be_visible()


def test_an_id_is_copied(regions: Page) -> None:
    regions.context.grant_permissions(["clipboard-read", "clipboard-write"])
    regions.get_by_role("button", name="Copy cn-beijing").click()
    expect(regions.get_by_role("button", name="Copied")).to_be_focused()
    assert regions.evaluate("navigator.clipboard.readText()") == "cn-beijing"


def test_the_row_menu_by_keyboard(regions: Page) -> None:
    button = regions.get_by_role("row").filter(has_text="Frankfurt").get_by_role("button", name="More")
    button.focus()
    regions.keyboard.press("Enter")
    expect(regions.get_by_role("link", name="Disable", exact=True)).to_be_focused()
    regions.keyboard.press("ArrowDown")
    expect(regions.get_by_role("link", name="Add another")).to_be_focused()
    regions.keyboard.press("Escape")
    expect(button).to_be_focused()
    regions.keyboard.press("Enter")
    expect(regions.get_by_role("link", name="Disable", exact=True)).to_be_focused()
    regions.keyboard.press("Enter")
    expect(regions.locator("dialog#dialog").get_by_text("Disable Frankfurt")).to_be_visible()
    regions.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_an_action_that_is_not_possible_says_why(regions: Page) -> None:
    regions.get_by_role("link", name="Import. Only an administrator may import regions.").focus()
    expect(regions.locator(".page-actions .tip")).to_be_visible()


def test_the_skip_link_leads_to_the_content(regions: Page, site: str) -> None:
    regions.goto(f"{site}/regions/")
    regions.keyboard.press("Tab")
    expect(regions.get_by_role("link", name="Skip to the content")).to_be_focused()
    regions.keyboard.press("Enter")
    expect(regions.locator("main")).to_be_focused()


def test_dark_is_remembered(regions: Page) -> None:
    light = regions.evaluate("getComputedStyle(document.body).backgroundColor")
    regions.get_by_role("button", name="Dark").click()
    expect(regions.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    dark = regions.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    regions.reload()
    assert regions.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_chart_is_drawn_in_the_panel_under_the_strict_policy(regions: Page) -> None:
    regions.get_by_role("link", name="China (Chengdu)").click()
    chart = regions.get_by_role("figure", name="Bandwidth trend")
    expect(chart.locator(".scatterlayer .trace .js-line")).not_to_have_count(0)
    chart.hover()
    expect(chart.locator(".hoverlayer")).to_contain_text("Receive")
    expect(chart.locator(".modebar-btn").first).to_be_attached()


def test_a_chart_without_points_says_so(regions: Page) -> None:
    regions.get_by_role("link", name="Frankfurt").click()
    expect(regions.get_by_text("Nothing was measured in this time yet.")).to_be_visible()


def test_a_chart_that_cannot_be_loaded_says_so(regions: Page, browser_errors: list[str]) -> None:
    regions.route("**/chart.json", lambda route: route.fulfill(status=500, body="no"))
    regions.get_by_role("link", name="Frankfurt").click()
    expect(regions.get_by_text("The chart could not be loaded.")).to_be_visible()
    browser_errors.clear()


def test_an_ended_session_leads_to_the_log_in_page_and_back(regions: Page, site: str) -> None:
    regions.context.clear_cookies(name="sessionid")
    regions.get_by_role("link", name="Add region").click()
    expect(regions.get_by_role("heading", name="Log in")).to_be_visible()
    expect(regions).to_have_url(f"{site}/log-in/?next=/regions/")


def test_an_unreachable_console_is_said_in_words(regions: Page, browser_errors: list[str]) -> None:
    regions.route("**/regions/add/", lambda route: route.abort())
    regions.get_by_role("link", name="Add region").click()
    expect(regions.get_by_text("The console cannot be reached.")).to_be_visible()
    browser_errors.clear()


def test_nothing_is_wider_than_a_narrow_screen(regions: Page, site: str) -> None:
    regions.set_viewport_size({"width": 390, "height": 800})
    for path in ("/regions/", "/regions/add/", "/regions/cn-beijing/", "/regions/cn-beijing/disable/"):
        regions.goto(f"{site}{path}")
        assert regions.evaluate("document.documentElement.scrollWidth") <= 390, path
    expect(regions.locator(".navigation-narrow summary")).to_be_visible()


def test_everything_works_without_javascript(page_without_javascript: Page, site: str) -> None:
    page = page_without_javascript
    page.set_default_timeout(10_000)
    log_in(page, site, "operator", PASSWORD, "/regions/")
    page.get_by_role("link", name="Add region").click()
    page.get_by_label("Region name").fill("Frankfurt")
    page.get_by_label("All users").check()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("alert")).to_contain_text("Another region has this name.")
    page.get_by_label("Region name").fill("Atlantis")
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("Atlantis was added.")).to_be_visible()
    page.get_by_role("row").filter(has_text="Atlantis").get_by_role("switch").click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("Atlantis was disabled.")).to_be_visible()
    page.get_by_role("searchbox").fill("atlan")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Showing 1–1 of 1")).to_be_visible()
