"""Smart Access Gateway APP in Chromium: an import with its preview, the Monitoring tab, a row's menu by keyboard."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from console.work import tasks
from roaming.models import ClientAccount, Instance
from roaming.usage import buckets as usage
from tests.browser import log_in, settle
from tests.console.factories import PASSWORD
from tests.roaming.factories import AccountFactory, InstanceFactory, log_on

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.timeout(120)]
LINES = """username,email,password,bandwidth_kbps,static_ip
alice-ant,alice@x.example,Winter-2026,3000,
short,bob@x.example,,,
carol-cat,carol@x.example,,20001,
dave-deer,dave@x.example,,,
"""


@pytest.fixture
def here() -> Any:
    return InstanceFactory(name="office")


@pytest.fixture
def console(live_server: Any, page: Page, here: Any, operator: Any) -> Iterator[str]:
    page.set_default_timeout(20_000)
    log_in(page, live_server.url, operator.username, PASSWORD)
    settle(page)
    yield str(live_server.url)
    page.goto("about:blank")  # no live part asks while the database is emptied


def show(page: Page, console: str, name: str, *keys: str) -> None:
    page.goto(console + reverse(f"roaming:{name}", args=keys))
    settle(page)


def test_a_file_is_checked_shown_and_its_good_lines_imported(page: Page, console: str, here: Any) -> None:
    show(page, console, "accounts", here.pk)
    page.get_by_role("link", name="Import CSV").click()
    page.get_by_label("CSV file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": LINES.encode()}
    )
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", name="Check the import")).to_be_visible()
    wrong = page.get_by_role("region", name="Wrong lines").get_by_role("row")
    expect(wrong).to_have_count(3)  # its head and two lines
    expect(wrong.nth(1)).to_contain_text("3 short User name must be 7–33 characters")
    expect(wrong.nth(2)).to_contain_text("4 carol-cat Bandwidth must be 1–20,000 kbit/s.")
    expect(page.get_by_role("button", name=re.compile("Import all"))).to_have_count(0)
    assert not ClientAccount.objects.exists(), "nothing before it was decided"
    page.get_by_role("button", name="Import only the 2 good lines").click()
    expect(page.get_by_text("The import has begun.")).to_be_visible()
    expect(page.get_by_text("0 of 2")).to_be_visible()
    while tasks.work("tests"):
        pass
    # The open page follows by itself.
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.get_by_role("row", name="dave-deer")).to_contain_text("Added with a generated password.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download results with passwords").click()
    assert re.search(r"dave-deer,Done,[^,]*,\w{16}\r", download.value.path().read_bytes().decode())
    page.get_by_role("link", name="Instances").first.click()
    page.get_by_role("link", name="office", exact=True).click()
    page.get_by_role("link", name="Client accounts", exact=True).click()
    expect(page.get_by_role("row", name="alice-ant")).to_contain_text("3,000 kbit/s")
    expect(page.get_by_role("row")).to_have_count(3)


def measured(instance: Any, minutes: int) -> None:
    """A kilobyte up and two down in every minute of the past."""
    now = datetime.now(UTC)
    Instance.objects.filter(pk=instance.pk).update(created_at=now - timedelta(days=2))
    sums = usage.Sums()
    for age in range(1, minutes):
        moment = now - timedelta(minutes=age)
        sums.add(account="", instance=instance.pk, session="", carrier="", moment=moment, up=1024, down=2048)
    sums.write()


def points(page: Page, chart: int = 0) -> int:
    """How many values the first line of a chart has."""
    read = "e => e.data ? e.data.find(t => t.name).y.filter(v => v !== null).length : 0"
    return int(page.locator(".chart .js-plotly-plot, .chart.js-plotly-plot").nth(chart).evaluate(read))


def test_the_monitoring_tab_over_its_ranges(page: Page, console: str, here: Any) -> None:
    measured(here, 13 * 60)
    show(page, console, "accounts", here.pk)
    page.get_by_role("link", name="Monitoring", exact=True).click()
    lines = page.locator(".chart .scatterlayer .trace path.js-line")
    seen = []
    for label in ("1 h", "3 h", "6 h", "12 h"):
        page.get_by_role("navigation", name="Time range").get_by_role(
            "link", name=re.compile(f"^{label}")
        ).click()
        chosen = page.get_by_role("navigation", name="Time range").locator("[aria-current=true]")
        expect(chosen).to_have_text(re.compile(f"^{label}"))
        expect(lines.first).to_be_attached()
        seen.append(points(page))
    assert min(seen) >= 50, f"every range has data: {seen}"
    # A time of one's own, and one that makes no sense.
    page.get_by_text("Other time").click()
    start = datetime.now(UTC) - timedelta(hours=2)
    page.get_by_label("From (UTC)").fill(f"{start:%Y-%m-%dT%H:%M}")
    page.get_by_label("To (UTC)").fill(f"{start + timedelta(minutes=30):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("[?&]from="))
    expect(lines.first).to_be_attached()
    assert 28 <= points(page) <= 31
    received = page.get_by_role("row", name="Received by clients")
    expect(received.get_by_role("cell").last).to_have_text(re.compile(r"^(5[6-9]|6[0-2]) KB$"))
    page.get_by_label("To (UTC)").fill(f"{start - timedelta(minutes=30):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("From must be earlier than To")


def test_a_rows_menu_by_keyboard(page: Page, console: str, here: Any) -> None:
    account = AccountFactory(instance=here)
    log_on(account)
    show(page, console, "accounts", here.pk)
    more = page.get_by_role("row", name=account.username).get_by_text("More", exact=True)
    menu, focused = page.locator("#row-menu"), page.locator(":focus")
    for key in ("Enter", "ArrowDown"):
        more.focus()
        page.keyboard.press(key)
        expect(menu).to_be_visible()
        expect(more).to_have_attribute("aria-expanded", "true")
        expect(focused).to_have_text("Monitoring")
        page.keyboard.press("ArrowDown")
        expect(focused).to_have_text("How to connect")
        page.keyboard.press("End")
        expect(focused).to_have_text("Remove")
        page.keyboard.press("ArrowDown")
        expect(focused).to_have_text("Monitoring")
        page.keyboard.press("ArrowUp")
        expect(focused).to_have_text("Remove")
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(more).to_be_focused()
        expect(more).to_have_attribute("aria-expanded", "false")
    # What is chosen opens over the list, and gives the focus back to the row.
    page.keyboard.press("Enter")
    expect(focused).to_have_text("Monitoring")
    page.keyboard.press("End")
    expect(focused).to_have_text("Remove")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    kick = page.get_by_role("dialog", name=f"Kick {account.username}?")
    expect(kick).to_be_visible()
    page.keyboard.press("Escape")
    expect(kick).to_be_hidden()
    expect(more).to_be_focused()


def test_a_name_ticks_its_row(page: Page, console: str, here: Any) -> None:
    first, second = AccountFactory(instance=here), AccountFactory(instance=here)
    show(page, console, "accounts", here.pk)
    page.get_by_text(second.username, exact=True).click()
    expect(page.get_by_role("checkbox", name=second.username)).to_be_checked()
    expect(page.get_by_role("checkbox", name=first.username)).not_to_be_checked()
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Roam selected")).to_be_enabled()
