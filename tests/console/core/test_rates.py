"""Shares of a minute: a caller has so much at once or spread, and others are not touched by it."""

from __future__ import annotations

import pytest

from console.core import rates
from console.core.rates import Rate, TooMany


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_share_leaks_as_time_goes_by() -> None:
    clock = Clock()
    rate = Rate(lambda: 6, clock=clock)
    for _ in range(6):
        rate.take("one", 1, "Too many.")
    with pytest.raises(TooMany, match="Too many") as refused:
        rate.take("one", 1, "Too many.")
    assert (refused.value.retry_after, refused.value.status) == (10, 429)
    rate.take("other", 1, "Too many.")
    clock.now += 10
    rate.take("one", 1, "Too many.")
    assert rate.wait("one") == pytest.approx(10)


def test_what_was_refused_counts_nothing() -> None:
    clock = Clock()
    rate = Rate(lambda: 10, clock=clock)
    rate.take("one", 8, "Too many.")
    for _ in range(5):
        with pytest.raises(TooMany):
            rate.take("one", 4, "Too many.")
    rate.take("one", 2, "Too many.")


def test_more_than_a_whole_share_goes_when_the_bucket_is_empty() -> None:
    clock = Clock()
    rate = Rate(lambda: 10, clock=clock)
    rate.take("one", 25, "Too many.")
    with pytest.raises(TooMany) as refused:
        rate.take("one", 25, "Too many.")
    assert refused.value.retry_after == 60
    clock.now += 60
    rate.take("one", 25, "Too many.")


def test_a_setting_that_makes_no_sense_shuts_nobody_out_for_ever() -> None:
    clock = Clock()
    rate = Rate(lambda: 0, clock=clock)
    rate.take("one", 1, "Too many.")
    clock.now += 60
    rate.take("one", 1, "Too many.")


def test_so_many_callers_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_KEYS", 3)
    rate = Rate(lambda: 1, clock=Clock())
    for key in "abcd":
        rate.take(key, 1, "Too many.")
    assert rate.wait("a") == 0
    assert all(rate.wait(key) > 0 for key in "bcd")
