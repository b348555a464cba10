"""Charts in Chromium: each range is opened, its axis read and hovered over; new samples appear by themselves."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from connectors.models import Sample
from connectors.telemetry import store
from tests.browser import log_in, settle
from tests.connectors.factories import ConnectorFactory, ServerFactory, measured
from tests.console.factories import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.timeout(120)]
ZONE = "Asia/Shanghai"
FIRST_PIXEL = """async (bytes) => {
  const picture = await createImageBitmap(new Blob([new Uint8Array(bytes)], {type: "image/png"}));
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  return [...canvas.getImageData(1, 1, 1, 1).data];
}"""
SPANS = {"1 hour": 1, "6 hours": 6, "24 hours": 24, "7 days": 168, "30 days": 720}


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return browser_context_args | {"timezone_id": ZONE}


@pytest.fixture
def servers() -> Any:
    """Two servers of a connector with a month behind them, rolled up but for the last minutes; one gap a day."""
    connector = ConnectorFactory(name="office")
    found = [ServerFactory(connector=connector, hostname=f"host-{letter}", heard=True) for letter in "ab"]
    now = timezone.now()
    for server in found:
        past = [
            Sample(
                server=server, time=now - timedelta(minutes=age), seconds=min(300, 60 * step),
                rx_bytes=10**6 + 300 * age, tx_bytes=4 * 10**6 + (age % 1440) * 5000, cpu_percent=20 + age % 50,
                memory_percent=40, latency_ms=12, loss_percent=0.5,
            )
            for first, last, step in ((15, 1500, 5), (1500, 30 * 1440, 60))
            for age in range(first, last, step)
            if age % 1440 > 60
        ]  # fmt: skip
        store.write(past, now)
        recent = [
            Sample(
                server=server,
                time=now - timedelta(seconds=10 * place),
                seconds=10,
                rx_bytes=1000,
                tx_bytes=2000,
            )
            for place in range(60)
        ]
        store.write(recent, now)
    store.roll_up(now)
    return found


@pytest.fixture
def console(live_server: Any, page: Page, servers: Any, viewer: Any) -> Iterator[str]:
    page.set_default_timeout(20_000)
    log_in(page, live_server.url, viewer.username, PASSWORD, "/sase/connectors/")
    settle(page)
    yield str(live_server.url)
    page.goto("about:blank")  # no live part asks while the database is emptied


def drawn(page: Page, query: str) -> Any:
    """The chart of that query, once it is drawn."""
    chart = page.locator(f'.chart[data-chart*="{query}"][data-drawn]').first
    expect(chart.locator(".main-svg").first).to_be_visible()
    return chart


def axis(chart: Any) -> tuple[datetime, datetime, str]:
    """Beginning and end of the time axis as it is drawn, and its title."""
    first, last, title = chart.locator(".js-plotly-plot").evaluate(
        "plot => [...plot._fullLayout.xaxis.range, plot._fullLayout.xaxis.title.text]"
    )
    begin, end = (datetime.fromisoformat(text.replace(" ", "T")[:19]) for text in (first, last))
    return begin, end, title


HOVER = """plot => {
    const trace = plot.data.find((each) => each.name && each.hovertemplate);
    const newest = trace.x[trace.y.findLastIndex((value) => value !== null)];
    Plotly.Fx.hover(plot, { xval: plot._fullLayout.xaxis.d2c(newest) });
    const text = plot.querySelector(".hoverlayer").textContent;
    return /bit\\/s|%|ms/.test(text) ? text : null;
}"""


def hover(page: Page, chart: Any) -> str:
    """What stands beside the pointer when it rests on the newest point. A live update takes it away: then once more."""
    chart.scroll_into_view_if_needed()
    plot = chart.locator(".js-plotly-plot").element_handle()
    return str(page.wait_for_function(HOVER, arg=plot).json_value())


def details(page: Page, console: str) -> Any:
    """The connector's panel, opened from the list."""
    page.goto(f"{console}/sase/connectors/")
    settle(page)
    page.get_by_role("row", name="office").get_by_role("link", name="Details").click()
    return page.get_by_role("dialog", name="office")


def test_each_range_its_axis_and_its_words(page: Page, console: str, servers: Any) -> None:
    panel = details(page, console)
    for label, hours in SPANS.items():
        panel.get_by_role("navigation", name="Time range").get_by_role("link", name=label, exact=True).click()
        name = {"1 hour": "1h", "6 hours": "6h", "24 hours": "24h", "7 days": "7d", "30 days": "30d"}[label]
        chart = drawn(page, f"range={name}")
        expect(page).to_have_url(re.compile(f"range={name}"))
        begin, end, title = axis(chart)
        assert title == f"Time ({ZONE})"
        assert (end - begin).total_seconds() == pytest.approx(hours * 3600, rel=0.05)
        # Shanghai is eight hours ahead: the axis shows the wall clock there.
        there = (datetime.now(UTC) + timedelta(hours=8)).replace(tzinfo=None)
        assert abs((there - end).total_seconds()) < hours * 3600 * 0.05 + 60
        assert "Receive" in hover(page, chart)
        words = panel.get_by_role("region", name="Figures of the chart")
        expect(words).to_contain_text(f"Last {label}")
        expect(words).to_contain_text(re.compile(r"bit/s at \d{4}-\d\d-\d\d \d\d:\d\d"))


def test_a_chosen_time_stands_in_the_url_and_a_wrong_one_says_so(
    page: Page, console: str, servers: Any
) -> None:
    panel = details(page, console)
    now = timezone.now()
    panel.get_by_text("Other time").click()
    panel.get_by_label(f"From ({ZONE})").fill((now - timedelta(days=4)).strftime("%Y-%m-%dT%H:%M"))
    panel.get_by_label(f"To ({ZONE})").fill((now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M"))
    panel.get_by_role("button", name="Show").click()
    chart = drawn(page, "from=")
    begin, end, _ = axis(chart)
    assert (end - begin).total_seconds() == pytest.approx(2 * 86400, rel=0.05)
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["from"] and asked["to"]
    panel.get_by_label(f"To ({ZONE})").fill("2020-01-01T00:00")
    panel.get_by_role("button", name="Show").click()
    expect(panel.get_by_text("From must be earlier than To")).to_be_visible()
    expect(panel.get_by_label(f"To ({ZONE})")).to_have_value("2020-01-01T00:00")


def test_new_samples_appear_by_themselves(page: Page, console: str, servers: Any) -> None:
    page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/?range=1h")
    chart = drawn(page, "range=1h")
    highest = "plot => Math.max(...plot.data.find((trace) => trace.name === 'Receive' && !trace.fill).y)"
    before = chart.locator(".js-plotly-plot").evaluate(highest)
    measured(servers[0], seconds=0.5, rx_bytes=3 * 10**7)  # overlaps none
    page.wait_for_function(
        """before => {
            const plot = document.querySelector('.js-plotly-plot');
            const receive = plot?.data.find((trace) => trace.name === 'Receive' && !trace.fill);
            return receive && Math.max(...receive.y) > 10 * before;
        }""",
        arg=before,
        timeout=30_000,
    )
    expect(page.get_by_role("region", name="Figures of the chart")).to_contain_text(
        "Mbit/s at", timeout=30_000
    )


def test_the_overview_in_another_range_with_its_words(page: Page, console: str, servers: Any) -> None:
    page.goto(f"{console}/")
    drawn(page, "range=24h")
    page.get_by_role("navigation", name="Time range").get_by_role("link", name="7 days").click()
    chart = drawn(page, "range=7d")
    expect(page).to_have_url(re.compile(r"/\?range=7d$"))
    begin, end, title = axis(chart)
    assert (end - begin).total_seconds() == pytest.approx(7 * 86400, rel=0.05) and title == f"Time ({ZONE})"
    assert "Receive" in hover(page, chart)
    words = page.get_by_role("region", name="Figures of the chart")
    expect(words).to_contain_text(re.compile(r"Last 7 days.*bit/s at \d{4}-\d\d-\d\d", re.DOTALL))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.path().read_text("utf-8-sig").startswith("time_utc,receive_bit_s")


def test_where_the_trend_leads_is_said_of_a_chosen_time_as_well(
    page: Page, console: str, servers: Any
) -> None:
    now = timezone.now()
    times = f"from={now - timedelta(days=20):%Y-%m-%dT%H:%M}&to={now - timedelta(days=2):%Y-%m-%dT%H:%M}"
    for query in ("range=30d", times):
        page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/servers/?{query}")
        expect(
            page.get_by_text(re.compile(r"this server .*Basis: the busy hour of \d+ of the last 30 days"))
        ).to_have_count(2)


def test_servers_one_upon_the_other(page: Page, console: str, servers: Any) -> None:
    page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/?range=7d")
    settle(page)
    page.get_by_role("link", name="By server").click()
    chart = drawn(page, "by=server")
    names = chart.locator(".js-plotly-plot").evaluate(
        "plot => plot.data.map((trace) => [trace.type, trace.name])"
    )
    assert sorted(names) == [["bar", "host-a"], ["bar", "host-b"]]
    assert "host-a" in hover(page, chart)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("CPU Utilization", "cpu"),
        ("Memory Usage", "memory"),
        ("Latency", "latency"),
        ("Packet Loss Rate", "loss"),
    ],
)
def test_what_else_a_server_measures(page: Page, console: str, servers: Any, kind: str, name: str) -> None:
    page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/servers/?range=24h")
    settle(page)
    page.get_by_role("navigation", name="What the charts show").get_by_role("link", name=kind).click()
    chart = drawn(page, f"kind={name}")
    assert "Average" in hover(page, chart)
    expect(page.get_by_role("row", name=kind).first).to_contain_text(re.compile(r"\d (%|ms)"))


def test_chart_and_figures_can_be_taken_along(page: Page, console: str, servers: Any) -> None:
    page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/?range=7d")
    chart = drawn(page, "range=7d")
    chart.hover()
    with page.expect_download() as download:
        chart.locator(".modebar-btn[data-title*='Download']").click()
    assert re.fullmatch(r"[\w.-]+-7d\.png", download.value.suggested_filename)
    corner = page.evaluate(FIRST_PIXEL, list(download.value.path().read_bytes()))
    assert corner[3] == 255, (
        "the picture brings its ground along, so that its words can be read wherever it is shown"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.startswith("time_utc,receive_bit_s") and len(text.splitlines()) > 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(
    page: Page,
    console: str,
    servers: Any,
    scheme: Literal["light", "dark"],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Drawn in the colours of both schemes; with ``CAUSEWAY_SCREENSHOTS`` the pictures stay to be looked at."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1280, "height": 900})
    folder = Path(os.environ.get("CAUSEWAY_SCREENSHOTS", tmp_path))
    colors = set()
    pages = {
        "connector": "?range=7d",
        "stack": "?range=7d&by=server",
        "servers": "servers/?range=24h&kind=cpu",
    }
    for name, path in pages.items():
        page.goto(f"{console}/sase/connectors/{servers[0].connector_id}/{path}")
        chart = drawn(page, "range=")
        chart.scroll_into_view_if_needed()
        page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
        colors.add(chart.locator(".js-plotly-plot").evaluate("plot => plot.layout.font.color"))
    assert len(colors) == 1
