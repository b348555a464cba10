"""Series and charts: the area under the curve is the bytes that flowed, and a gap is a gap."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import plotly.graph_objects as go
import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from connectors.models import Connector, FiveMinutes, Hour, Sample, Server, StaleRollup
from connectors.telemetry import capacity, charts, store, windows
from console.kit.charts import Words, words
from console.kit.windows import Window
from tests.connectors import factories
from tests.connectors.factories import ServerFactory

pytestmark = pytest.mark.django_db
# The beginning of an hour, and of any bucket with it; new enough for raw samples to be kept.
START = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
END = START + timedelta(minutes=10)


def measure(server: Server, at: float, *, seconds: float = 10, rx: int = 1000, tx: int = 2000) -> None:
    factories.measured(server, time=START + timedelta(seconds=at), seconds=seconds, rx_bytes=rx, tx_bytes=tx)


def series(*servers: Server, width: int = 60) -> store.Series:
    return store.series([server.pk for server in servers], start=START, end=END, width=width)


def volume(measured: store.Series, values: list[float | None]) -> float:
    """Bytes: the area under the curve."""
    return sum(value for value in values if value is not None) * measured.width / 8


def test_steady_traffic_is_a_flat_line(server: Server) -> None:
    for at in range(10, 601, 10):
        measure(server, at, rx=1000, tx=2000)
    measured = series(server)
    assert measured.receive == [pytest.approx(800)] * 10
    assert measured.send == [pytest.approx(1600)] * 10
    assert measured.times[0] == START and len(measured.times) == 10


def test_where_nothing_was_measured_there_is_no_value(server: Server) -> None:
    measure(server, 60, seconds=60)
    measured = series(server)
    assert measured.receive[0] is not None
    assert measured.receive[1:] == [None] * 9


def test_a_measured_zero_is_a_zero(server: Server) -> None:
    measure(server, 60, seconds=60, rx=0)
    assert series(server).receive[0] == 0


def test_servers_are_added_up_and_others_left_out(connector: Connector, server: Server) -> None:
    second, foreign = ServerFactory(connector=connector), ServerFactory()
    for each in (server, second, foreign):
        measure(each, 60, seconds=60, rx=6000)
    assert series(server, second).receive[0] == pytest.approx(1600)


def test_a_server_that_is_half_silent_does_not_halve_the_rate_it_had(server: Server) -> None:
    measure(server, 30, seconds=30, rx=3000)
    assert series(server).receive[0] == pytest.approx(800)


@settings(max_examples=20)
@given(
    spans=st.lists(
        st.tuples(st.floats(0.5, 90), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=12
    ),
    width=st.sampled_from([15, 60, 100]),
)
def test_the_area_under_the_curve_is_the_bytes_that_flowed(
    server: Server, spans: list[tuple[float, int, int]], width: int
) -> None:
    """Samples of any length, back to back from the beginning: no byte appears or is lost in the buckets between."""
    for model in (Sample, StaleRollup, FiveMinutes, Hour):
        model.objects.all().delete()
    at = 0.0
    for seconds, rx, tx in spans:
        at += round(seconds, 3)
        measure(server, at, seconds=round(seconds, 3), rx=rx, tx=tx)
    # Fill the last bucket, so that every bucket is measured throughout.
    rest = -at % width
    if rest > 0.002:
        measure(server, at + rest, seconds=rest, rx=0, tx=0)
    end = START + timedelta(seconds=at + rest + 1)
    measured = store.series([server.pk], start=START, end=end, width=width)
    sent = sum(tx for _, _, tx in spans)
    assert volume(measured, measured.receive) == pytest.approx(sum(rx for _, rx, _ in spans), rel=0.01, abs=1)
    assert volume(measured, measured.send) == pytest.approx(sent, rel=0.01, abs=1)


def test_the_figure_is_one_that_plotly_accepts_and_never_joins_gaps(server: Server) -> None:
    measure(server, 60, seconds=60)
    measure(server, 300, seconds=60)
    figure = charts.bandwidth(series(server))
    checked = go.Figure(figure)
    assert [trace.name for trace in checked.data] == ["Receive", "Send", "Receive, peak", "Send, peak"]
    assert all(trace.connectgaps is False for trace in checked.data)
    assert checked.layout.yaxis.title.text == "bit/s"
    assert None in figure["data"][0]["y"] and 0 not in figure["data"][0]["y"]


def test_the_words_beside_the_chart() -> None:
    times = [START + timedelta(minutes=minute) for minute in range(21)]
    values: list[float | None] = [float(value) for value in range(1, 21)] + [None]
    assert words(times, values) == Words(20.0, times[19], 10.5, 19.0)
    assert words(times, values, [None] * 20 + [30.0]) == Words(30.0, times[20], 10.5, 19.0)
    assert words(times, [None] * 21) is None


@pytest.mark.parametrize("name", ["1h", "6h", "24h", "7d", "30d"])
def test_every_range_has_a_chart_of_a_few_hundred_points(
    viewer_client: Client, connector: Connector, server: Server, name: str
) -> None:
    factories.measured(server, seconds=2, rx_bytes=10, tx_bytes=10)
    for url in (f"/sase/connectors/{connector.pk}/chart/", f"/sase/servers/{server.pk}/chart/"):
        figure = viewer_client.get(url, {"range": name}).json()
        assert 200 <= len(figure["data"][0]["x"]) <= 400
        assert any(value is not None for value in figure["data"][0]["y"])


def test_a_chart_that_did_not_change_is_not_sent_again(
    viewer_client: Client, connector: Connector, server: Server
) -> None:
    url = f"/sase/connectors/{connector.pk}/chart/?range=24h"
    first = viewer_client.get(url)
    again = viewer_client.get(url, headers={"If-None-Match": first["ETag"]})
    # At the turn of a bucket the axis moves on; then the first look is repeated.
    if again.status_code == 200:
        again = viewer_client.get(url, headers={"If-None-Match": again["ETag"]})
    assert again.status_code == 304 and not again.content
    factories.measured(server, seconds=2, rx_bytes=10, tx_bytes=10)
    assert viewer_client.get(url, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_a_chart_needs_a_log_in_and_an_unknown_range_is_an_hour(
    client: Client, viewer_client: Client, connector: Connector
) -> None:
    url = f"/sase/connectors/{connector.pk}/chart/"
    assert client.get(url).status_code == 302
    assert viewer_client.get(url, {"range": "99y"}).status_code == 200


def test_a_page_with_charts_allows_no_inline_style_or_script(
    viewer_client: Client, connector: Connector
) -> None:
    for url in (
        "/sase/connectors/",
        f"/sase/connectors/{connector.pk}/",
        f"/sase/connectors/{connector.pk}/servers/",
    ):
        policy = viewer_client.get(url)["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy


def test_raw_samples_are_pruned_after_their_time(server: Server, settings: Settings) -> None:
    now = timezone.now()
    for age in (timedelta(hours=1), settings.RAW_SAMPLE_RETENTION + timedelta(minutes=1)):
        Sample.objects.create(server=server, time=now - age, seconds=2, rx_bytes=1, tx_bytes=1)
    assert store.prune(now) == 1
    assert Sample.objects.count() == 1


# --- Which time, and how fine -----------------------------------------------------------------------------------------

# Handed to what is tested as its present, with the times that are asked for: any other day would do as well.
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "width", "points"),
    [
        ({"range": "1h"}, 15, 240),
        ({"range": "6h"}, 60, 360),
        ({"range": "24h"}, 300, 288),
        ({"range": "7d"}, 1800, 336),
        ({"range": "30d"}, 7200, 360),
        ({"from": "2026-11-20T11:00", "to": "2026-11-20T12:00"}, 15, 240),
        ({"from": "2026-11-15T11:00", "to": "2026-11-15T12:00"}, 300, 12),
        ({"from": "2026-05-15T11:00", "to": "2026-05-15T12:00"}, 3600, 1),
        ({"from": "2024-12-01T00:00Z", "to": "2026-11-20T08:00+02:00"}, 48 * 3600, 360),
    ],
)
def test_points_are_as_fine_as_is_kept_and_as_a_chart_can_show(
    query: dict[str, str], width: int, points: int
) -> None:
    shown = windows.window(query, NOW)
    assert shown.width == width and not shown.problem
    count = (shown.end - shown.start).total_seconds() / width
    assert count == pytest.approx(points, abs=1) and count <= windows.MOST_POINTS
    assert windows.window(dict(parse_qsl(shown.query)), NOW).width == width, "the URL brings it back"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"from": "yesterday", "to": "2026-11-20T12:00"}, "From must be a date and time"),
        ({"from": "2026-11-20T12:00"}, "To must be a date and time"),
        ({"from": "2026-13-40T99:00", "to": "2026-11-20T12:00"}, "From must be a date and time"),
        ({"from": "0001-01-01T00:00+14:00", "to": "2026-11-20T12:00"}, "From must be a date and time"),
        ({"from": "2026-11-20T11:00", "to": "2026-11-20T10:00"}, "From must be earlier than To"),
        ({"from": "2027-11-20T11:00", "to": "2027-11-20T12:00"}, "From must be earlier"),
        ({"from": "2020-11-20T11:00", "to": "2026-11-20T12:00"}, "within the last 2 years"),
    ],
)
def test_a_time_that_makes_no_sense_is_named_and_an_hour_shown(query: dict[str, str], problem: str) -> None:
    shown = windows.window(query, NOW)
    assert problem in shown.problem and shown.name == "1h"
    assert (shown.start_text, shown.end_text) == (query["from"], query.get("to", "")), "the input is kept"


# --- Other figures ----------------------------------------------------------------------------------------------------


def shown() -> Window:
    return windows.window({"from": START.isoformat(), "to": END.isoformat()}, END)


def test_servers_are_stacked_with_gaps_and_the_quiet_ones_added_up(connector: Connector) -> None:
    servers = [ServerFactory(connector=connector, hostname=f"host-{place}") for place in range(10)]
    for place, each in enumerate(servers):
        measure(each, 60, seconds=60, rx=1000 * (place + 1), tx=0)
    names = {each.pk: each.hostname for each in servers}
    figure = charts.stacked(charts.per_server(list(names), shown()), names, shown())
    checked = go.Figure(figure)
    assert [trace.name for trace in checked.data] == [
        *(f"host-{place}" for place in range(9, 1, -1)),
        "2 others",
    ]
    assert checked.layout.barmode == "stack" and all(None in trace["y"] for trace in figure["data"])
    top = sum(next(value for value in trace["y"] if value is not None) for trace in figure["data"])
    assert top == pytest.approx(8 * 55000 / 60, abs=1)


def test_servers_of_one_name_are_told_apart_in_the_stack(connector: Connector) -> None:
    twins = [ServerFactory(connector=connector, hostname="twin") for _ in range(2)]
    for each in twins:
        measure(each, 60, seconds=60)
    names = {each.pk: each.hostname for each in twins}
    figure = charts.stacked(charts.per_server(list(names), shown()), names, shown())
    assert {trace["name"] for trace in figure["data"]} == {f"twin …{each.pk[-4:]}" for each in twins}


@pytest.mark.parametrize("name", ["cpu", "memory", "latency", "loss"])
def test_each_gauge_is_a_figure_that_plotly_accepts(server: Server, name: str) -> None:
    values = {"cpu_percent": 10.0, "memory_percent": 20.0, "latency_ms": 30.0, "loss_percent": 40.0}
    for at, scale in ((65, 1), (75, 2)):
        time = START + timedelta(seconds=at)
        factories.measured(server, time=time, **{key: value * scale for key, value in values.items()})
    kind = charts.kind(name)
    window = Window("1h", "1 hour", START, END, 60)
    measured = charts.per_server([server.pk], window)[server.pk]
    figure = charts.gauge(measured, kind, window)
    average, peak = go.Figure(figure).data
    expected = {"cpu": 10, "memory": 20, "latency": 30, "loss": 40}[name]
    assert [value for value in average.y if value is not None] == [pytest.approx(expected * 1.5)]
    assert [value for value in peak.y if value is not None] == [pytest.approx(expected * 2)]
    row = charts.server_rows(measured, kind)[0]
    assert row.peak == f"{expected * 2} {kind.unit}"
    empty = charts.gauge(None, kind, window)
    assert go.Figure(empty) and set(empty["data"][0]["y"]) == {None}


def test_figures_can_be_downloaded_as_rows(
    viewer_client: Client, connector: Connector, server: Server
) -> None:
    factories.measured(server, rx_bytes=1250, tx_bytes=0, cpu_percent=50.0)
    for url, columns in (
        (f"/sase/connectors/{connector.pk}/chart.csv", 5),
        (f"/sase/servers/{server.pk}/chart.csv", 13),
    ):
        answer = viewer_client.get(url, {"range": "1h"})
        assert answer["Content-Disposition"].startswith("attachment") and answer["Content-Type"].startswith(
            "text/csv"
        )
        header, *rows = [line.split(",") for line in b"".join(answer).decode("utf-8-sig").split()]
        assert header[0] == "time_utc" and {len(row) for row in rows} == {columns}
        measured = [row for row in rows if row[1]]
        assert measured and float(measured[-1][1]) == pytest.approx(1000, rel=0.01)
        assert ["", "", "", ""] in [row[1:5] for row in rows], "unmeasured is empty, not 0"


def test_the_overview_shows_all_connectors_in_any_range_and_in_words(
    viewer_client: Client, server: Server
) -> None:
    factories.measured(server, seconds=10, rx_bytes=1250, tx_bytes=2500)
    page = viewer_client.get("/").text
    assert "/sase/chart/?range=24h" in page and "/sase/traffic/?range=24h" in page
    assert 'href="/?range=7d"' in page and "data-panel" not in page.split('aria-label="Time range"')[1]
    for query, name in (
        ({"range": "7d"}, "range=7d"),
        ({"from": START.isoformat(), "to": END.isoformat()}, "from="),
    ):
        page = viewer_client.get("/", query).text
        assert f"/sase/chart/?{name}" in page
    words = viewer_client.get("/sase/traffic/", {"range": "1h"}).text
    assert "1 kbit/s" in words and "2 kbit/s" in words and "/sase/chart.csv?range=1h" in words
    rows = b"".join(viewer_client.get("/sase/chart.csv", {"range": "1h"})).decode("utf-8-sig").split()
    assert rows[0].startswith("time_utc,receive_bit_s") and any(",1000.000," in row for row in rows)


# --- Where the trend leads --------------------------------------------------------------------------------------------


def grow(server: Server, now: datetime, *, days: int, rate: float, a_day: float, peak: float) -> None:
    """One half-minute sample an hour, growing day by day, with one high peak at the beginning."""
    samples = []
    for hour in range(days * 24, 0, -1):
        bits = peak if hour == days * 24 else rate + a_day * (days - hour / 24)
        time = now - timedelta(hours=hour) + timedelta(seconds=60)
        samples.append(Sample(server=server, time=time, seconds=30, rx_bytes=int(bits * 30 / 8), tx_bytes=0))
    store.write(samples, now)
    store.roll_up(now)


def test_steady_growth_is_told_with_its_basis(server: Server) -> None:
    grow(server, NOW, days=30, rate=1e6, a_day=1e5, peak=10e6)
    sentence = capacity.sentence([server.pk], "this server", NOW)
    # About 4 Mbit/s now, 100 kbit/s more a day, 8 Mbit/s to reach.
    assert re.search(r"this server reaches 80 % of its measured maximum in about (5|6) weeks", sentence), (
        sentence
    )
    assert "grew by 100 kbit/s a day" in sentence and "maximum is 10 Mbit/s" in sentence


@pytest.mark.parametrize(
    ("days", "a_day", "peak", "words"),
    [
        (10, 1e5, 10e6, ""),
        (30, 0.0, 10e6, "does not grow steadily"),
        (30, -2e4, 10e6, "does not grow steadily"),
        (30, 1e3, 10e9, "stays below 80 %"),
        (30, 1e5, 1e6, "is above 80 %"),
    ],
    ids=["too few days", "no growth", "falling", "far away", "there already"],
)
def test_no_more_is_said_than_the_days_tell(
    server: Server, days: int, a_day: float, peak: float, words: str
) -> None:
    grow(server, NOW, days=days, rate=1e6, a_day=a_day, peak=peak)
    sentence = capacity.sentence([server.pk], "this server", NOW)
    assert (words in sentence and "reaches" not in sentence) if words else sentence == ""
