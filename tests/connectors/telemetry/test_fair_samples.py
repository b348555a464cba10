"""What a server says of itself: an interval counts once, bytes that no line carries do not count, and not too often."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from connectors.models import Connector, Latest, Sample, Server
from connectors.telemetry import intake, store
from tests.connectors.factories import sample, telemetry
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(connector: Connector) -> Machine:
    return Machine("server", connector.pk)


def tell(server: Machine, *samples: dict[str, Any]) -> dict[str, Any]:
    answer = server.call("telemetry", telemetry(*samples))
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    assert found["acknowledged"] == len(samples), "what is refused is not to be sent again either"
    return found


def moment() -> float:
    """Beginning of a minute of the last quarter of an hour, before which all of a test's samples lie."""
    return time.time() // 60 * 60 - 120


def test_thirty_thousand_made_up_overlapping_samples_draw_what_one_of_them_says(
    server: Machine, settings: Settings
) -> None:
    settings.TELEMETRY_SAMPLES_PER_MINUTE = 100_000
    end, line = moment(), 90_000_000  # bytes of 10 s: 72 Mbit/s
    for call in range(30):
        tell(
            server,
            *(
                sample(time=end - (call * 1000 + place) / 1000, seconds=10, rx_bytes=line, tx_bytes=0)
                for place in range(1000)
            ),
        )
    drawn = store.series(
        None, start=datetime.fromtimestamp(end - 120, UTC), end=datetime.fromtimestamp(end, UTC), width=10
    )
    stored = list(Sample.objects.values_list("rx_bytes", flat=True))
    assert 1 <= len(stored) <= 4, "of 40 seconds, as many as do not overlap"
    assert max(rate for rate in drawn.receive if rate) <= 72e6 * 1.01
    assert max(peak for peak in drawn.receive_peak if peak) <= 72e6 * 1.01


def test_what_overlaps_is_refused_and_its_neighbours_count(server: Machine) -> None:
    end = moment()
    assert tell(server, sample(time=end, seconds=10, rx_bytes=1))["refused"] == 0
    answer = tell(
        server,
        sample(time=end - 5, seconds=10, rx_bytes=100),  # reaches into both neighbours
        sample(time=end - 10, seconds=10, rx_bytes=10),
        sample(time=end + 9.999, seconds=10, rx_bytes=1000),  # rounded to the millisecond
    )
    assert answer["refused"] == 1
    assert sorted(Sample.objects.values_list("rx_bytes", flat=True)) == [1, 10, 1000]


def test_a_spool_that_is_sent_again_changes_nothing_and_is_not_refused(server: Machine) -> None:
    end = moment()
    spool = [sample(time=end + 10 * place, seconds=10, rx_bytes=1) for place in range(5)]
    tell(server, *spool[:3])
    assert tell(server, *spool)["refused"] == 0
    assert tell(server, *spool)["refused"] == 0
    assert Sample.objects.count() == 5


def test_the_newest_figure_is_not_that_of_a_refused_sample(server: Machine) -> None:
    end = moment()
    tell(server, sample(time=end, seconds=10, rx_bytes=1))
    tell(server, sample(time=end + 1, seconds=10, rx_bytes=10**9))
    assert Latest.objects.get().rx_bytes == 1


def test_late_samples_that_overlap_are_not_added(server: Machine) -> None:
    old = timezone.now() - timedelta(days=5)
    end = old.timestamp() // 300 * 300
    tell(server, *(sample(time=end + 10 * place, seconds=10, rx_bytes=1) for place in range(3)))
    tell(server, *(sample(time=end + place, seconds=10, rx_bytes=100) for place in range(25)))
    shown = store.series(
        None,
        start=datetime.fromtimestamp(end - 300, UTC),
        end=datetime.fromtimestamp(end + 300, UTC),
        width=300,
    )
    assert sum(rate * seconds / 8 for rate, seconds in zip(shown.receive, (10, 20), strict=True) if rate) == 3


@settings(max_examples=40)
@given(told=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 90)), min_size=1, max_size=25))
def test_whatever_is_told_no_second_counts_twice(connector: Connector, told: list[tuple[int, int]]) -> None:
    from tests.connectors.factories import ServerFactory

    server: Server = ServerFactory(connector=connector)
    base = moment() - 600
    for end, seconds in told:
        store.write(intake.samples_of(server.pk, [sample(time=base + end, seconds=seconds)]))
    times = [(s.time.timestamp() - s.seconds, s.time.timestamp()) for s in server.samples.order_by("time")]
    for (_, before), (begin, _) in pairwise(times):
        assert begin >= before - 0.003


def test_more_than_the_line_carries_is_refused(server: Machine, settings: Settings) -> None:
    settings.SERVER_LINE_GBPS = 0.1
    end = moment()
    answer = tell(
        server,
        sample(time=end, seconds=10, rx_bytes=125_000_000, tx_bytes=0),
        sample(time=end + 10, seconds=10, rx_bytes=125_000_001, tx_bytes=0),
        sample(time=end + 20, seconds=10, rx_bytes=0, tx_bytes=125_000_001),
    )
    assert answer["refused"] == 2
    assert Sample.objects.get().rx_bytes == 125_000_000


def test_a_server_that_calls_too_often_is_told_when_to_come_again(
    server: Machine, settings: Settings, connector: Connector
) -> None:
    settings.TELEMETRY_CALLS_PER_MINUTE = 3
    other = Machine("server", connector.pk)
    for _ in range(3):
        tell(server)
    answer = server.call("telemetry", telemetry(sample()))
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "TooMany"
    assert "at most 3 times a minute" in answer.json()["error"]["message"]
    assert 1 <= int(answer["Retry-After"]) <= 20
    assert not Sample.objects.exists()
    tell(other, sample())


def test_more_samples_than_a_servers_share_wait_and_are_all_taken_later(
    server: Machine, settings: Settings
) -> None:
    settings.TELEMETRY_SAMPLES_PER_MINUTE = 4
    end = moment() - 300
    spool = [sample(time=end + 10 * place, seconds=10) for place in range(12)]
    tell(server, *spool[:4])
    answer = server.call("telemetry", telemetry(*spool[4:8]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TooMany")
    assert "samples must be at most 4 a minute" in answer.json()["error"]["message"]
    assert int(answer["Retry-After"]) <= 60
    intake.samples.forget()  # a minute later
    tell(server, *spool[4:12])  # a batch beyond a whole share goes alone
    assert Sample.objects.count() == 12
