"""State machine of an alert: when it begins, fires and ends. Pure: observations in, state and event out.

A condition begins when the value reaches the threshold and ends when the value falls below the threshold less the
hysteresis. An alert is *pending* from that beginning and *firing* once the condition held for the rule's time. An
observation without a value says nothing: the state stays. Only a pending condition that was not measured for longer
than ``LONGEST_GAP`` begins anew, because nobody knows that it held all the time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

LONGEST_GAP = timedelta(seconds=90)


class Phase(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Event(StrEnum):
    FIRED = "fired"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Rule:
    """Rule in force. ``threshold``: in the unit of the values; ``above=False``: low values are bad."""

    threshold: float
    hold: timedelta = timedelta()
    hysteresis: float = 0.0
    above: bool = True
    gap: timedelta = LONGEST_GAP

    def begins(self, value: float) -> bool:
        return value >= self.threshold if self.above else value <= self.threshold

    def goes_on(self, value: float) -> bool:
        if self.above:
            return value >= self.threshold * (1 - self.hysteresis)
        return value <= self.threshold * (1 + self.hysteresis)


@dataclass(frozen=True)
class State:
    """State of an alert. ``since``: when its condition began; ``seen``: when last measured; None while all is well."""

    phase: Phase = Phase.OK
    since: datetime | None = None
    seen: datetime | None = None


@dataclass(frozen=True)
class Observation:
    """Observation of one moment; ``value`` None: not measured."""

    at: datetime
    value: float | None


OK = State()


def step(state: State, seen: Observation, rule: Rule) -> tuple[State, Event | None]:
    """Apply one observation to a state; observations must come in order of time."""
    if seen.value is None:
        return state, None
    holds = rule.begins(seen.value) if state.phase is Phase.OK else rule.goes_on(seen.value)
    if not holds:
        return OK, Event.RESOLVED if state.phase is Phase.FIRING else None
    if state.phase is Phase.FIRING:
        return replace(state, seen=seen.at), None
    since = state.since
    if since is None or (state.seen is not None and seen.at - state.seen > rule.gap):
        since = seen.at
    if seen.at - since >= rule.hold:
        return State(Phase.FIRING, since, seen.at), Event.FIRED
    return State(Phase.PENDING, since, seen.at), None


@dataclass(frozen=True)
class Episode:
    """Episode in which an alert fired, with the worst value; its end is None while the alert goes on."""

    since: datetime
    fired_at: datetime
    ended_at: datetime | None
    worst: float


def episodes(series: Iterable[Observation], rule: Rule) -> Iterator[Episode]:
    """Yield every episode in which an alert would have fired over a series."""
    state, open_episode = OK, None
    worst: float | None = None
    pick = max if rule.above else min
    for seen in series:
        state, event = step(state, seen, rule)
        if event is Event.RESOLVED and open_episode is not None:
            yield replace(open_episode, ended_at=seen.at)
            open_episode = None
        if state.phase is Phase.OK:
            worst = None
        elif seen.value is not None:
            worst = seen.value if worst is None else pick(worst, seen.value)
            if event is Event.FIRED and state.since is not None:
                open_episode = Episode(state.since, seen.at, None, worst)
            elif open_episode is not None:
                open_episode = replace(open_episode, worst=worst)
    if open_episode is not None:
        yield open_episode
