"""Roll-ups: whatever the order of samples, repetitions and rounds of the worker, they say what the samples say."""

import math
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.models import Connector, FiveMinutes, Hour, Latest, Sample, Server, StaleRollup
from connectors.telemetry import partitions, store
from connectors.telemetry.sql import MEASURES, VALUES
from tests.at_once import at_once
from tests.connectors.factories import ServerFactory

START = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)  # the span crosses midnight, where one table ends
SPAN = 3 * 3600
NOW = START + timedelta(seconds=SPAN)
LONG_AFTER = NOW + timedelta(hours=2)
Rows = dict[tuple[str, int], dict[str, Any]]  # (server, start) → measures


def make(
    server: Server, at: float, seconds: float = 10, rx: int = 1000, tx: int = 2000, **values: Any
) -> Sample:
    time = datetime.fromtimestamp(round((START.timestamp() + at) * 1000) / 1000, UTC)
    return Sample(server=server, time=time, seconds=seconds, rx_bytes=rx, tx_bytes=tx, **values)


# --- The reference: plain Python, sample by sample --------------------------------------------------------------------


def reference(samples: list[Sample], width: int) -> Rows:
    """(server, start) → measures. Only samples of a minute at most: they are counted where their middle lies."""
    groups = defaultdict(list)
    for sample in samples:
        middle = sample.time.timestamp() - sample.seconds / 2
        groups[sample.server_id, int(middle // 300 * 300 // width * width)].append(sample)
    return {key: measures(group) for key, group in groups.items()}


def measures(group: list[Sample]) -> dict[str, Any]:
    found: dict[str, Any] = {"samples": len(group), "seconds": math.fsum(s.seconds for s in group)}
    for way in ("rx", "tx"):
        counts = [(getattr(s, f"{way}_bytes"), s.seconds) for s in group]
        found[f"{way}_bytes"] = sum(count for count, _ in counts)
        found[f"{way}_peak"] = max(count * 8 / max(seconds, 1) for count, seconds in counts)
    for name, column in VALUES.items():
        values = [value for s in group if (value := getattr(s, column)) is not None]
        found |= {f"{name}_sum": math.fsum(values), f"{name}_count": len(values)}
        found[f"{name}_peak"] = max(values, default=None)
    return found


def stored(model: type[FiveMinutes] | type[Hour]) -> Rows:
    return {
        (server, start): dict(zip(MEASURES, row, strict=True))
        for server, start, *row in model.objects.values_list("server_id", "start", *MEASURES)
    }


def assert_same(found: Rows, wanted: Rows) -> None:
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        assert {name for name, value in found[key].items() if value is None} == nothing(row), key
        measured = {name: value for name, value in row.items() if value is not None}
        assert {name: found[key][name] for name in measured} == pytest.approx(measured, rel=1e-9, abs=1e-9), (
            key
        )
        # Bytes are whole numbers and must not be off by one.
        assert (found[key]["rx_bytes"], found[key]["tx_bytes"]) == (row["rx_bytes"], row["tx_bytes"])


def nothing(row: dict[str, Any]) -> set[str]:
    return {name for name, value in row.items() if value is None}


def assert_series_agree(servers: list[Server], samples: list[Sample]) -> None:
    """What charts are told now, rolled up or not, is what the samples say."""
    for width in (300, 1800, 3600):
        wanted: dict[int, float] = defaultdict(float)
        for (_, start), row in regrouped(reference(samples, 300), width).items():
            wanted[start] += row[1] * 8 / row[0]
        measured = store.series([server.pk for server in servers], start=START, end=NOW, width=width)
        found = {int(t.timestamp()): value for t, value in zip(measured.times, measured.receive, strict=True)}
        assert {start: value for start, value in found.items() if value is not None} == pytest.approx(
            dict(wanted)
        )


def regrouped(rows: Rows, width: int) -> dict[tuple[str, int], list[float]]:
    sums: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (server, start), row in rows.items():
        sums[server, start // width * width][0] += row["seconds"]
        sums[server, start // width * width][1] += row["rx_bytes"]
    return sums


percent = st.none() | st.floats(0, 100)
one_sample = st.tuples(
    st.integers(0, 2),  # which server
    st.integers(1, SPAN // 20),  # when, in steps of 20 s
    st.floats(0.5, 20).map(lambda value: round(value, 3)),
    st.integers(0, 10**10),
    st.integers(0, 10**10),
    percent,
    percent,
    percent,
)
# Either a call with samples, or a round of the worker at some moment.
steps = st.lists(
    st.lists(one_sample, min_size=1, max_size=6) | st.floats(-SPAN, 3600), min_size=1, max_size=14
)


@pytest.mark.django_db
@settings(max_examples=40)
@given(steps=steps)
@example(steps=[[(0, 1, 10.0, 1, 1, None, None, None)], 600.0, [(0, 1, 10.0, 9, 9, 5.0, None, None)], 600.0])
def test_any_order_of_samples_and_rounds_gives_what_the_samples_say(
    connector: Connector, steps: list[Any]
) -> None:
    servers: list[Server] = [ServerFactory(connector=connector) for _ in range(3)]
    taken: dict[tuple[str, datetime], Sample] = {}
    for step in steps:
        if isinstance(step, float):
            store.roll_up(NOW + timedelta(seconds=step))
        else:
            samples = [
                make(
                    servers[who], at * 20, seconds, rx, tx, cpu_percent=cpu, latency_ms=ms, loss_percent=loss
                )
                for who, at, seconds, rx, tx, cpu, ms, loss in step
            ]
            store.write(samples, NOW)
            for sample in sorted(samples, key=lambda each: each.server_id):
                taken.setdefault((sample.server_id, sample.time), sample)
        assert_series_agree(servers, list(taken.values()))
    store.roll_up(LONG_AFTER)
    ours = {server.pk for server in servers}
    samples = list(taken.values())
    assert not StaleRollup.objects.filter(server__in=ours).exists()
    for model, width in ((FiveMinutes, 300), (Hour, 3600)):
        assert_same({k: v for k, v in stored(model).items() if k[0] in ours}, reference(samples, width))
    assert_series_agree(servers, samples)


@pytest.mark.django_db
@settings(max_examples=40)
@given(seconds=st.floats(0.001, 3600), at=st.floats(3600, SPAN), rx=st.integers(0, 4 * 10**13))
def test_a_long_sample_is_shared_out_without_losing_a_byte(
    server: Server, seconds: float, at: float, rx: int
) -> None:
    Sample.objects.all().delete()
    StaleRollup.objects.all().delete()
    FiveMinutes.objects.all().delete()
    store.write([make(server, at, round(seconds, 3), rx, 7, cpu_percent=50)], NOW)
    pieces = list(Sample.objects.order_by("time"))
    assert sum(piece.rx_bytes for piece in pieces) == rx and sum(piece.tx_bytes for piece in pieces) == 7
    assert sum(piece.seconds for piece in pieces) == pytest.approx(seconds, abs=0.02)
    assert [piece.cpu_percent for piece in pieces if piece.cpu_percent is not None] == [50]
    store.roll_up(LONG_AFTER)
    rows = stored(FiveMinutes).values()
    assert sum(row["rx_bytes"] for row in rows) == rx
    if seconds > 60:
        assert all(row["seconds"] <= 300.001 for row in rows)


@pytest.mark.django_db
def test_a_sample_that_comes_while_the_worker_pauses_or_after_it_counts_at_once(server: Server) -> None:
    store.write([make(server, 10)], NOW)
    store.roll_up(LONG_AFTER)
    store.write([make(server, 20, rx=3000)], NOW)
    measured = store.series([server.pk], start=START, end=NOW, width=3600)
    assert measured.receive[0] == pytest.approx(4000 * 8 / 20)
    assert Hour.objects.get().rx_bytes == 1000, "the worker has not been there"
    assert store.roll_up(LONG_AFTER) == 1
    assert Hour.objects.get().rx_bytes == 4000
    assert store.roll_up(LONG_AFTER) == 0, "nothing is counted twice"


@pytest.mark.django_db
def test_five_minutes_that_are_not_over_wait(server: Server) -> None:
    store.write([make(server, 10)], START + timedelta(seconds=20))
    assert store.roll_up(START + timedelta(seconds=100)) == 0
    assert store.roll_up(START + timedelta(seconds=400)) == 1


@pytest.mark.django_db
def test_peaks_and_averages_reach_a_chart_of_hours(server: Server) -> None:
    store.write(
        [
            make(server, 10, rx=0, cpu_percent=10.0, latency_ms=5.0),
            make(server, 20, rx=5000, cpu_percent=90.0),
        ],
        NOW,
    )
    store.roll_up(LONG_AFTER)
    measured = store.per_server([server.pk], start=START, end=NOW, width=3600)[server.pk]
    assert measured.receive[0] == pytest.approx(2000)
    assert measured.receive_peak[0] == pytest.approx(4000)
    assert (measured.cpu.average[0], measured.cpu.peak[0]) == (50, 90)
    assert (measured.latency.average[0], measured.loss.average[0]) == (5, None)
    assert measured.cpu.average[1:] == [None] * 2


# --- Samples that come when the raw ones of their time are gone -------------------------------------------------------


@pytest.mark.django_db
def test_samples_of_days_ago_are_kept_once(server: Server) -> None:
    days_later = NOW + timedelta(days=5)
    late = [make(server, at, rx=1000) for at in (10, 20, 400)]
    assert store.write(late[:2], days_later).new == 2
    assert store.write(late[:2], days_later).new == 0, "sent again"
    assert store.write(late, days_later).new == 1
    assert not Sample.objects.exists()
    measured = store.series([server.pk], start=START, end=NOW, width=3600)
    assert measured.receive[0] == pytest.approx(800), "before the worker came"
    store.roll_up(days_later)
    assert Hour.objects.get().rx_bytes == 3000 and Hour.objects.get().samples == 3
    assert store.series([server.pk], start=START, end=NOW, width=300).receive[:2] == [pytest.approx(800)] * 2


@pytest.mark.django_db
def test_late_samples_add_to_what_was_counted_in_time(server: Server) -> None:
    store.write([make(server, 10, rx=1000)], NOW)
    store.roll_up(LONG_AFTER)
    days_later = NOW + timedelta(days=5)
    store.prune(days_later)
    store.write([make(server, 20, rx=500)], days_later)
    store.roll_up(days_later)
    assert Hour.objects.get().rx_bytes == 1500


# --- Forgetting -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_raw_samples_go_after_their_time_but_never_before_they_were_counted(server: Server) -> None:
    store.write([make(server, 10), make(server, SPAN)], NOW)
    days_later = NOW + timedelta(days=5)
    assert store.prune(days_later) == 0
    store.roll_up(days_later)
    assert store.prune(days_later) > 0 and not Sample.objects.exists()
    assert FiveMinutes.objects.count() == 2 and Hour.objects.count() == 2


@pytest.mark.django_db
def test_roll_ups_go_after_90_days_and_two_years(server: Server) -> None:
    store.write([make(server, 10)], NOW)
    store.roll_up(LONG_AFTER)
    store.prune(START + timedelta(days=89))
    assert FiveMinutes.objects.exists()
    store.prune(START + timedelta(days=91))
    assert not FiveMinutes.objects.exists() and Hour.objects.exists()
    store.prune(START + timedelta(days=732))
    assert not Hour.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db
def test_each_day_has_its_table_and_goes_with_it(server: Any) -> None:
    store.write([make(server, 10), make(server, SPAN)], NOW)
    days = {START.date(), NOW.date()}
    assert days <= partitions.days().keys()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partitions.REST}")
        assert cursor.fetchone() == (0,)
    store.roll_up(LONG_AFTER)
    store.prune(START + timedelta(days=5))
    assert not days & partitions.days().keys()


@pytest.mark.django_db
def test_the_newest_sample_stays_the_newest(server: Server) -> None:
    store.write([make(server, 30, rx=5)], NOW)
    store.write([make(server, 20, rx=9)], NOW)
    assert Latest.objects.get().rx_bytes == 5


@pytest.mark.django_db
def test_a_removed_server_leaves_nothing(connector: Connector, server: Server) -> None:
    store.write([make(server, 10)], NOW)
    server.delete()
    store.roll_up(LONG_AFTER)
    for model in (StaleRollup, FiveMinutes, Latest):
        assert not model.objects.exists()


# --- Really at the same time ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_samples_written_while_the_worker_counts_are_all_counted() -> None:
    server = ServerFactory()
    writers, each = 4, 60
    written: list[int] = []

    def write(number: int) -> None:
        try:
            for place in range(each):
                # All into the same quarter of an hour, so that writers and worker meet at the same roll-ups.
                store.write([make(server, 0.5 + number * 0.1 + place * 15, seconds=0.1, rx=1, tx=2)], NOW)
        finally:
            written.append(number)

    def count() -> None:
        while len(written) < writers:
            store.roll_up(LONG_AFTER)

    calls: list[Callable[[], Any]] = [count, *(partial(write, number) for number in range(writers))]
    assert at_once(*calls) == [None] * len(calls)
    store.roll_up(LONG_AFTER)
    assert sum(FiveMinutes.objects.values_list("rx_bytes", flat=True)) == writers * each
    assert sum(Hour.objects.values_list("tx_bytes", flat=True)) == 2 * writers * each
    assert not StaleRollup.objects.exists()
