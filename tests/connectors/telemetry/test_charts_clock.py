"""Charts of the nights in which clocks are changed, in Chromium: time goes on evenly, in the words of the clock."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from connectors.models import Connector
from console.core import people
from console.kit import charts
from console.models import User
from tests.browser import log_in, settle
from tests.console.factories import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.timeout(120)]
STEP = timedelta(minutes=15)
TICKS = "plot => [...plot.querySelectorAll('.xtick text')].map((each) => each.textContent)"
HOVER = """([plot, at, words]) => {
    Plotly.Fx.hover(plot, { xval: plot._fullLayout.xaxis.d2c(at) });
    return plot.querySelector(".hoverlayer").textContent.includes(words);
}"""


def change(name: str, *, back: bool) -> datetime:
    """When clocks of a zone were last set back or forward, to the minute."""
    zone, at = ZoneInfo(name), datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for _ in range(2 * 24 * 400):
        before, after = (moment.astimezone(zone).utcoffset() for moment in (at - timedelta(minutes=30), at))
        if before is not None and after is not None and before != after and (after < before) == back:
            return at
        at -= timedelta(minutes=30)
    raise AssertionError(f"The clocks of {name} were not changed within 400 days.")


def figure(begin: datetime, hours: float) -> dict[str, Any]:
    times = [begin + place * STEP for place in range(int(hours * 4) + 1)]
    line = charts.Line("Receive", "receive", [1e6 * (1 + place / len(times)) for place in range(len(times))])
    return charts.figure(times, [line], unit=charts.BITS)


@pytest.fixture
def console(live_server: Any, connector: Connector, viewer: User) -> Iterator[str]:
    yield str(live_server.url)


@pytest.fixture
def opened(
    browser: Browser, console: str, connector: Connector, viewer: User, browser_errors: list[str]
) -> Iterator[Any]:
    """Function that opens a connector's chart of a time, in a browser of a zone."""
    contexts = []

    def opens(name: str, begin: datetime, hours: float = 8, **options: Any) -> tuple[Page, Any]:
        context = browser.new_context(timezone_id=name, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        page.on("console", lambda said: browser_errors.append(said.text) if said.type == "error" else None)
        log_in(page, console, viewer.username, PASSWORD, "/sase/connectors/")
        page.route(re.compile(r"/chart/"), lambda route: route.fulfill(json=figure(begin, hours)))
        times = f"from={begin:%Y-%m-%dT%H:%MZ}&to={begin + timedelta(hours=hours):%Y-%m-%dT%H:%MZ}"
        page.goto(f"{console}/sase/connectors/{connector.pk}/?{times}")
        settle(page)
        chart = page.locator(".chart[data-drawn]").first
        expect(chart.locator(".main-svg").first).to_be_visible()
        return page, chart.locator(".js-plotly-plot")

    yield opens
    for context in contexts:
        for page in context.pages:
            page.goto("about:blank")
        context.close()
    assert not browser_errors, "the browser reported:\n" + "\n".join(browser_errors)


def drawn(plot: Any) -> list[datetime]:
    """Times of the line, as they were given to Plotly."""
    times = plot.evaluate("plot => plot.data.at(-1).x")
    return [datetime.fromisoformat(text) for text in times]


NIGHTS = [
    ("Europe/Berlin", True, "Clocks go back at 03:00", "to 02:00"),
    ("Europe/Berlin", False, "Clocks go forward at 02:00", "to 03:00"),
    ("America/New_York", True, "Clocks go back at 02:00", "to 01:00"),
    ("Australia/Lord_Howe", True, "Clocks go back at 02:00", "to 01:30"),
    ("Australia/Lord_Howe", False, "Clocks go forward at 02:00", "to 02:30"),
]


@pytest.mark.parametrize(("name", "back", "said", "to"), NIGHTS)
def test_the_night_goes_on_evenly_and_says_what_the_clocks_do(
    opened: Any, name: str, back: bool, said: str, to: str
) -> None:
    at = change(name, back=back)
    page, plot = opened(name, at - timedelta(hours=4))
    times = drawn(plot)
    assert {late - early for early, late in pairwise(times)} == {STEP}
    words = plot.locator(".annotation-text")
    expect(words).to_contain_text(said)
    expect(words).to_contain_text(to)
    expect(page.get_by_role("figure").first).to_have_attribute("aria-label", re.compile(said))
    assert plot.evaluate("plot => plot.layout.xaxis.title.text") == f"Time ({name})"

    # Ticks: what the clocks show at their place on the axis.
    zone = ZoneInfo(name)
    values, texts = plot.evaluate("plot => [plot.layout.xaxis.tickvals, plot.layout.xaxis.ticktext]")
    assert len(values) > 3
    for value, text in zip(values, texts, strict=True):
        assert text.startswith(f"{datetime.fromisoformat(value).replace(tzinfo=UTC).astimezone(zone):%H:%M}")
    assert len(set(texts)) == len(texts), "a time that comes twice is told apart"

    # What stands beside the pointer, before and after.
    for moment in (at - STEP, at + STEP):
        there = f"at {moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        page.wait_for_function(HOVER, arg=[plot.element_handle(), f"{moment:%Y-%m-%d %H:%M:%S}", there])


def test_a_stretch_that_is_looked_at_closer_has_finer_times(opened: Any) -> None:
    at = change("Europe/Berlin", back=True)
    _, plot = opened("Europe/Berlin", at - timedelta(hours=4))
    before = plot.evaluate("plot => plot.layout.xaxis.tickvals.length")
    stretch = [f"{at + timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S}" for minutes in (-60, 60)]
    texts = plot.evaluate(
        """async (plot, stretch) => {
            await Plotly.relayout(plot, {"xaxis.range": stretch});
            return plot.layout.xaxis.ticktext;
        }""",
        stretch,
    )
    assert before > 0
    joined = " ".join(texts)
    assert "02:30<br>UTC+02:00" in joined and "02:30<br>UTC+01:00" in joined


@pytest.mark.parametrize("name", ["Asia/Shanghai", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"])
def test_where_no_clock_is_changed_the_axis_is_the_wall_clock(opened: Any, name: str) -> None:
    at = change("Europe/Berlin", back=True)
    _, plot = opened(name, at - timedelta(hours=4))
    times = drawn(plot)
    there = (at - timedelta(hours=4)).astimezone(ZoneInfo(name)).replace(tzinfo=None)
    assert times[0] == there and plot.evaluate("plot => plot.layout.annotations ?? []") == []
    assert {late - early for early, late in pairwise(times)} == {STEP}


def test_what_a_user_has_set_goes_before_the_browsers_zone(opened: Any, viewer: User) -> None:
    people.user_time_zone(user=viewer, name="Asia/Kolkata", actor=viewer)
    at = change("Europe/Berlin", back=True)
    page, plot = opened("Europe/Berlin", at - timedelta(hours=4))
    assert plot.evaluate("plot => plot.layout.xaxis.title.text") == "Time (Asia/Kolkata)"
    assert drawn(plot)[0] == (at - timedelta(hours=4)).astimezone(ZoneInfo("Asia/Kolkata")).replace(
        tzinfo=None
    )
    expect(page.get_by_label("From (Asia/Kolkata)")).to_be_attached()


def test_months_with_a_change_in_them_name_days_and_no_hour(opened: Any) -> None:
    at = change("America/New_York", back=True)
    _, plot = opened("America/New_York", at - timedelta(days=20), 30 * 24)
    times = drawn(plot)
    assert all(early < late for early, late in pairwise(times))
    assert plot.evaluate("plot => plot.layout.annotations ?? []") == []
    texts = plot.evaluate("plot => plot.layout.xaxis.ticktext")
    assert len(texts) > 2 and all(text.startswith("00:00<br>") for text in texts)


def test_tables_and_fields_are_of_the_browsers_zone_which_the_server_learns(
    opened: Any, console: str, viewer: User
) -> None:
    at = change("Europe/Berlin", back=True)
    page, _ = opened("Europe/Berlin", at - timedelta(hours=4))
    begin = (at - timedelta(hours=4)).astimezone(ZoneInfo("Europe/Berlin"))
    expect(page.get_by_label("From (Europe/Berlin)")).to_have_value(f"{begin:%Y-%m-%dT%H:%M}")
    page.goto(f"{console}/audit/")
    expect(page.get_by_label("From (Europe/Berlin)")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_screenshots(opened: Any, scheme: Literal["light", "dark"], width: int, tmp_path: Path) -> None:
    """With ``CAUSEWAY_SCREENSHOTS`` the pictures stay to be looked at."""
    folder = Path(os.environ.get("CAUSEWAY_SCREENSHOTS", tmp_path))
    at = change("Europe/Berlin", back=True)
    page, plot = opened(
        "Europe/Berlin",
        at - timedelta(hours=4),
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    )
    expect(plot.locator(".annotation-text")).to_be_visible()
    plot.scroll_into_view_if_needed()
    page.screenshot(path=folder / f"night-{scheme}-{width}.png")
