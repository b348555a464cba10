"""Machines that failed together come back apart from each other, and never before they were asked to."""

from edge.machine import backoff


def spread(failures: int, **options: float) -> list[float]:
    return sorted(backoff.pause(failures, **options) for _ in range(2000))


def test_the_whole_span_up_to_a_bound_that_doubles_is_used() -> None:
    for failures, bound in ((1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (1000, 30.0)):
        pauses = spread(failures)
        assert 0 < pauses[0] <= bound / 5 and bound * 0.9 < pauses[-1] <= bound
        fullest = max(sum(1 for each in pauses if low <= each < low + bound / 10) for low in (0, bound / 2))
        assert fullest < 2000 / 10 * 2


def test_what_the_console_asks_for_is_kept_and_spread() -> None:
    pauses = spread(1, asked=20.0)
    assert pauses[0] >= 20.0 and pauses[-1] <= 22.0 and pauses[-1] - pauses[0] > 1.5
    assert spread(9, asked=0.0)[0] >= 0
