"""Series and charts: the area under the curve is the bytes that flowed, and a gap is a gap."""

from datetime import UTC, datetime, timedelta

import plotly.graph_objects as go
import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.models import FiveMinutes, Hour, Sample, StaleRollup
from connectors.telemetry import charts, store
from tests.connectors import factories
from tests.connectors.factories import ServerFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)


def measure(server, at: float, *, seconds: float = 10, rx: int = 1000, tx: int = 2000) -> None:
    factories.measured(server, time=START + timedelta(seconds=at), seconds=seconds, rx_bytes=rx, tx_bytes=tx)


def series(*servers, width: int = 60) -> store.Series:
    return store.series([server.pk for server in servers], start=START, end=END, width=width)


def volume(measured: store.Series, values: list[float | None]) -> float:
    """Bytes: the area under the curve."""
    return sum(value for value in values if value is not None) * measured.width / 8


def test_steady_traffic_is_a_flat_line(server):
    for at in range(10, 601, 10):
        measure(server, at, rx=1000, tx=2000)
    measured = series(server)
    assert measured.receive == [pytest.approx(800)] * 10
    assert measured.send == [pytest.approx(1600)] * 10
    assert measured.times[0] == START and len(measured.times) == 10


def test_where_nothing_was_measured_there_is_no_value(server):
    measure(server, 60, seconds=60)
    measured = series(server)
    assert measured.receive[0] is not None
    assert measured.receive[1:] == [None] * 9


def test_a_measured_zero_is_a_zero(server):
    measure(server, 60, seconds=60, rx=0)
    assert series(server).receive[0] == 0


def test_servers_are_added_up_and_others_left_out(connector, server):
    second, foreign = ServerFactory(connector=connector), ServerFactory()
    for each in (server, second, foreign):
        measure(each, 60, seconds=60, rx=6000)
    assert series(server, second).receive[0] == pytest.approx(1600)


def test_a_server_that_is_half_silent_does_not_halve_the_rate_it_had(server):
    measure(server, 30, seconds=30, rx=3000)
    assert series(server).receive[0] == pytest.approx(800)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(
        st.tuples(st.floats(0.5, 90), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=12
    ),
    width=st.sampled_from([15, 60, 100]),
)
def test_the_area_under_the_curve_is_the_bytes_that_flowed(server, spans, width):
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


def test_the_figure_is_one_that_plotly_accepts_and_never_joins_gaps(server):
    measure(server, 60, seconds=60)
    measure(server, 300, seconds=60)
    figure = charts.bandwidth(series(server))
    checked = go.Figure(figure)
    assert [trace.name for trace in checked.data] == ["Receive", "Send", "Receive, peak", "Send, peak"]
    assert all(trace.connectgaps is False for trace in checked.data)
    assert checked.layout.yaxis.title.text == "bit/s"
    assert None in figure["data"][0]["y"] and 0 not in figure["data"][0]["y"]


def test_the_words_beside_the_chart():
    times = [START + timedelta(minutes=minute) for minute in range(21)]
    values: list[float | None] = [float(value) for value in range(1, 21)] + [None]
    measured = store.Series(60, times, values, values, values, values)
    words = charts.words(measured, values)
    assert words == charts.Words(20.0, times[19], 10.5, 19.0)
    assert charts.words(measured, [None] * 21) is None


@pytest.mark.parametrize("name", ["1h", "6h", "24h", "7d", "30d"])
def test_every_range_has_a_chart_of_a_few_hundred_points(viewer_client, connector, server, name):
    factories.measured(server, seconds=2, rx_bytes=10, tx_bytes=10)
    for url in (f"/sase/connectors/{connector.pk}/chart/", f"/sase/servers/{server.pk}/chart/"):
        figure = viewer_client.get(url, {"range": name}).json()
        assert 200 <= len(figure["data"][0]["x"]) <= 400
        assert any(value is not None for value in figure["data"][0]["y"])


def test_a_chart_that_did_not_change_is_not_sent_again(viewer_client, connector, server):
    url = f"/sase/connectors/{connector.pk}/chart/?range=24h"
    first = viewer_client.get(url)
    again = viewer_client.get(url, headers={"If-None-Match": first["ETag"]})
    # At the turn of a bucket the axis moves on; then the first look is repeated.
    if again.status_code == 200:
        again = viewer_client.get(url, headers={"If-None-Match": again["ETag"]})
    assert again.status_code == 304 and not again.content
    factories.measured(server, seconds=2, rx_bytes=10, tx_bytes=10)
    assert viewer_client.get(url, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_a_chart_needs_a_log_in_and_an_unknown_range_is_an_hour(client, viewer_client, connector):
    url = f"/sase/connectors/{connector.pk}/chart/"
    assert client.get(url).status_code == 302
    assert viewer_client.get(url, {"range": "99y"}).status_code == 200


def test_a_page_with_charts_allows_no_inline_style_or_script(viewer_client, connector):
    for url in (
        "/sase/connectors/",
        f"/sase/connectors/{connector.pk}/",
        f"/sase/connectors/{connector.pk}/servers/",
    ):
        policy = viewer_client.get(url)["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy


def test_raw_samples_are_pruned_after_their_time(server, settings):
    now = timezone.now()
    for age in (timedelta(hours=1), settings.RAW_SAMPLE_RETENTION + timedelta(minutes=1)):
        Sample.objects.create(server=server, time=now - age, seconds=2, rx_bytes=1, tx_bytes=1)
    assert store.prune(now) == 1
    assert Sample.objects.count() == 1
