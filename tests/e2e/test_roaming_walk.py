"""Roaming page of the product, step by step: in Chromium on the running demo, then as its user with curl."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import settle
from tests.demo import Demo, post, wait_until
from tests.e2e.test_browser import log_in

HOME, ABROAD = "mainland-china", "singapore"
ABROAD_BLOCK = ip_network("10.20.0.0/24")


def instance(demo: Demo, area: str) -> dict[str, Any]:
    region = demo.gateway(area)["region"]
    return next(one for one in demo.world["instances"] if one["region"] == region)


def accounts_page(demo: Demo, area: str) -> str:
    return f"/sag/instances/{instance(demo, area)['id']}/accounts/"


@pytest.fixture
def traveller(demo: Demo) -> Iterator[dict[str, Any]]:
    """Make a client account at home, and take it away again with its copies, as an administrator does."""
    name = f"traveller.{uuid.uuid4().hex[:8]}"
    with closing(demo.admin_client()) as admin:
        wanted = {"username": name, "email": f"{name}@walk.invalid", "password": "Summer-2026"}
        page = accounts_page(demo, HOME)
        answer = post(admin, f"{page}add/", wanted | {"bandwidth_kbps": "20000"})
        assert name in admin.get(page, params={"q": name}).text, answer.text
        yield {"instance": instance(demo, HOME)["id"], "username": name, "password": "Summer-2026"}
        listed = admin.get(page, params={"q": name}).text
        account = listed.split('href="/sag/accounts/')[1].split("/")[0]
        post(admin, f"/sag/accounts/{account}/delete/", {"copies": "1"})
        for area in (HOME, ABROAD):
            assert "Nothing matches" in admin.get(accounts_page(demo, area), params={"q": name}).text


def service(demo: Demo, area: str) -> str:
    """Return the address of the service in the cloud network of an area's CCN."""
    region = demo.gateway(area)["region"]
    found = next(one for one in demo.world["cloud_services"] if one["region"] == region)
    return f"http://{found['host']}:{found['port']}/"


def open_account(page: Page, demo: Demo, area: str, name: str) -> Locator:
    """Go through steps 2 to 5 of the product's page: navigation, area, instance, tab, the account's row."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Instances").click()
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()
    page.get_by_label("Area", exact=True).select_option(area)
    page.get_by_role("link", name=instance(demo, area)["name"], exact=True).click()
    page.get_by_role("link", name="Client accounts", exact=True).click()
    page.get_by_label("Search by user name or e-mail").fill(name)
    page.get_by_label("Search by user name or e-mail").press("Enter")
    row = page.get_by_role("row", name=name)
    expect(row).to_have_count(1)
    expect(page.get_by_text("Showing 1–1 of 1")).to_be_visible()
    settle(page)
    return row


def choose(row: Locator, action: str) -> None:
    """Choose an action of the menu More."""
    row.get_by_text("More", exact=True).click()
    row.page.get_by_role("link", name=action, exact=True).click()


@pytest.mark.timeout(180)
def test_roaming_as_the_product_describes_it(demo: Demo, page: Page, traveller: dict[str, Any]) -> None:
    if not demo.world["cloud_services"]:
        pytest.skip("this system has one loopback address only, hence no cloud networks")
    name, there = traveller["username"], instance(demo, ABROAD)
    at_home: dict[str, Any] = {"account": traveller, "gateway": demo.gateway(HOME)}
    abroad: dict[str, Any] = {
        "account": traveller | {"instance": there["id"]},
        "gateway": demo.gateway(ABROAD),
    }
    assert demo.curl(service(demo, HOME), **at_home).status == 200
    with demo.connect("wiki.corp.example", 80, **abroad) as refused:
        assert (refused.status, refused.headers["x-causeway-reason"]) == (407, "LogonRefused")

    log_in(page, demo)
    row = open_account(page, demo, HOME, name)
    choose(row, "Roaming")
    dialog = page.get_by_role("dialog", name="Configure Roaming")
    expect(dialog.get_by_text(name)).to_be_visible()
    areas = dialog.get_by_label("Configure Roaming")
    expect(areas.locator(f"option[value={HOME}]")).to_have_count(0)
    areas.select_option(ABROAD)
    dialog.get_by_label("Associate with SAG Instance").select_option(there["id"])
    expect(dialog.get_by_role("img", name="Kept:")).to_have_count(6)
    dialog.get_by_role("button", name="OK").click()
    expect(page.get_by_role("status")).to_contain_text(f"enter the instance ID {there['id']}")
    expect(dialog).to_be_hidden()
    expect(row.get_by_role("link", name=there["name"])).to_be_visible()

    # "You must enter the ID of the destination instance", with the same user name and password.
    answer = demo.curl(service(demo, ABROAD), **abroad)
    assert answer.status == 200, answer.body
    denied = demo.curl(service(demo, HOME), **abroad)
    assert denied.status == 403, "the copy must not reach the cloud network of the source"
    row.get_by_role("link", name=there["name"]).click()
    copy = page.get_by_role("row", name=name)
    expect(copy.get_by_role("link", name=instance(demo, HOME)["name"])).to_be_visible()
    page.get_by_role("link", name="Online sessions", exact=True).click()
    session = page.get_by_role("row", name=name)
    client_ip = session.get_by_role("cell").nth(1).inner_text()
    assert ip_address(client_ip) in ABROAD_BLOCK

    # A password reset on the source works on the copy, and the old password no longer does.
    row = open_account(page, demo, HOME, name)
    choose(row, "Reset password")
    reset = page.get_by_role("dialog", name=f"Reset the password of {name}")
    expect(reset.get_by_text(there["id"])).to_be_visible()
    reset.get_by_label("Custom", exact=True).check()
    reset.get_by_label("Custom password").fill("Autumn-2026")
    reset.get_by_role("button", name="OK").click()
    expect(page.get_by_role("status").filter(has_text="was reset")).to_be_visible()
    changed = {**abroad, "account": abroad["account"] | {"password": "Autumn-2026"}}
    assert demo.curl(service(demo, ABROAD), **changed).status == 200
    wait_until(
        lambda: demo.curl(service(demo, ABROAD), **abroad).status == 407, what="the old password's refusal"
    )


def test_roaming_without_javascript(
    demo: Demo, page_without_javascript: Page, traveller: dict[str, Any]
) -> None:
    page, name, there = page_without_javascript, traveller["username"], instance(demo, ABROAD)
    log_in(page, demo)
    page.goto(f"{demo.console}{accounts_page(demo, HOME)}?q={name}")
    page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_role("button", name="Roam selected").click()
    page.get_by_label("Configure Roaming").select_option(ABROAD)
    page.get_by_role("button", name="Show its instances").click()
    expect(page.get_by_label("Configure Roaming")).to_have_value(ABROAD)
    page.get_by_label("Associate with SAG Instance").select_option(there["id"])
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("heading", name=f"Roaming of {name}")).to_be_visible()
    row = page.get_by_role("row", name=name)

    def done() -> bool:
        page.reload()
        return "Copied." in row.inner_text()

    wait_until(done, 20, what="the result of the background task")
    assert there["id"] in row.inner_text()
