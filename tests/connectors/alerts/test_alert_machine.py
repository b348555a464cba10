"""The state machine of alerts beside a reference that sees the whole series at once."""

import itertools
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.alerts import machine
from connectors.alerts.machine import Event, Observation, Phase, Rule

START = datetime(2026, 11, 21, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def walk(points: list[Any], rule: Rule) -> tuple[Any, ...]:
    """(seconds, event) of every event over (seconds, value) points."""
    state, events = machine.OK, []
    for seconds, value in points:
        state, event = machine.step(state, Observation(at(seconds), value), rule)
        if event:
            events.append((seconds, event))
    return state, events


def reference(points: list[Any], rule: Rule) -> list[tuple[int, Event]]:
    """Fired and ended, found the other way round: cut the series into runs of the condition, then look at each."""
    known = [(seconds, value) for seconds, value in points if value is not None]
    clear = rule.threshold * (1 - rule.hysteresis if rule.above else 1 + rule.hysteresis)
    bad: Callable[[float, float], bool] = operator.ge if rule.above else operator.le
    runs: list[tuple[list[int], int | None]] = []
    run: list[int] = []
    for seconds, value in known:
        if bad(value, clear if run else rule.threshold):
            run.append(seconds)
        elif run:
            runs.append((run, seconds))
            run = []
    if run:
        runs.append((run, None))
    events = []
    for moments, end in runs:
        began = moments[0]
        for before, moment in zip([began, *moments], moments, strict=False):
            if moment - before > rule.gap.total_seconds():
                began = moment
            if moment - began >= rule.hold.total_seconds():
                events.append((moment, Event.FIRED))
                if end is not None:
                    events.append((end, Event.RESOLVED))
                break
    return events


steps = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 10, 30, 89, 90, 91, 200]),
        st.one_of(
            st.none(), st.sampled_from([0.0, 50.0, 89.9, 90.0, 95.0, 99.9, 100.0, 110.0, 111.0, 500.0])
        ),
    ),
    max_size=60,
)
rules = st.builds(
    Rule,
    threshold=st.sampled_from([90.0, 100.0, 110.0]),
    hold=st.sampled_from([0, 5, 60, 120, 600]).map(lambda s: timedelta(seconds=s)),
    hysteresis=st.sampled_from([0.0, 0.1, 0.5]),
    above=st.booleans(),
)


@given(steps, rules)
def test_fires_and_ends_as_the_reference_says(series: list[Any], rule: Rule) -> None:
    clock, points = 0, []
    for pause, value in series:
        clock += pause
        points.append((clock, value))
    state, events = walk(points, rule)
    assert events == reference(points, rule)
    # Never twice the same: one notice for each change.
    assert all(one[1] != other[1] for one, other in itertools.pairwise(events))
    assert (state.phase is Phase.FIRING) == bool(events and events[-1][1] is Event.FIRED)
    found = list(machine.episodes([Observation(at(s), v) for s, v in points], rule))
    assert [item.fired_at for item in found] == [at(s) for s, event in events if event is Event.FIRED]
    ends = [at(s) for s, event in events if event is Event.RESOLVED]
    assert [item.ended_at for item in found if item.ended_at] == ends


RULE = Rule(100.0, timedelta(seconds=120), 0.1)


def test_a_peak_shorter_than_the_time_is_no_alert() -> None:
    assert walk([(0, 150), (60, 150), (110, 80), (180, 150)], RULE)[1] == []


def test_between_threshold_and_hysteresis_it_goes_on() -> None:
    points = [(0, 150), (60, 95), (120, 101), (180, 91), (240, 89)]
    assert walk(points, RULE)[1] == [(120, Event.FIRED), (240, Event.RESOLVED)]


def test_below_the_threshold_it_does_not_begin() -> None:
    assert walk([(0, 99.9), (200, 99.9)], RULE)[0] is machine.OK


@pytest.mark.parametrize("phase", list(Phase))
def test_what_is_not_measured_changes_nothing(phase: Phase) -> None:
    state = machine.OK if phase is Phase.OK else machine.State(phase, START, START)
    assert machine.step(state, Observation(at(10_000), None), RULE) == (state, None)


def test_a_pending_alert_that_was_not_measured_for_long_begins_anew() -> None:
    points = [(0, 150), (60, None), (3600, 150), (3660, 150), (3719, 150), (3720, 150)]
    assert walk(points, RULE)[1] == [(3720, Event.FIRED)]


def test_low_values_matter_where_the_rule_says_so() -> None:
    rule = Rule(24.0, timedelta(), 0.1, above=False)
    assert walk([(0, 30), (1, 24), (2, 26), (3, 27)], rule)[1] == [(1, Event.FIRED), (3, Event.RESOLVED)]


def test_an_episode_knows_its_worst_and_that_it_goes_on() -> None:
    series = [Observation(at(s), v) for s, v in [(0, 120.0), (60, 300.0), (120, 150.0), (180, 310.0)]]
    (found,) = machine.episodes(series, RULE)
    assert (found.since, found.fired_at, found.ended_at, found.worst) == (at(0), at(120), None, 310.0)
