"""Pauses before a call is tried again, so that ten thousand machines do not come back in the same moment."""

import random

FIRST_SECONDS = 1.0
MOST_SECONDS = 30.0


def pause(
    failures: int, *, asked: float | None = None, first: float = FIRST_SECONDS, most: float = MOST_SECONDS
) -> float:
    """Return the seconds to wait after so many failures in a row (1 for the first).

    Drawn from the whole span up to a bound that doubles each time: those who failed together come back spread evenly.
    ``asked``: what the console asked for (``Retry-After``); then a little later than that, never sooner.
    """
    if asked is not None:
        return asked + random.uniform(0.0, max(1.0, asked / 10))  # noqa: S311
    bound = min(most, first * 2 ** min(max(failures, 1) - 1, 16))
    return max(first / 10, random.uniform(0.0, bound))  # noqa: S311
