"""Seats for work of which only so much is done at a time; who finds none is told when to come again.

Turns follow each other as fast as work is done now, each at another moment, however many want one.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FARTHEST_SECONDS = 120.0
USUAL_SECONDS = 0.2


class Full(Exception):
    """Answer for a call that finds no seat. ``retry_after``: whole seconds until the caller's turn."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Come again in {retry_after} s.")
        self.retry_after = retry_after


class Seats:
    """Seats for calls, and turns for those that find none. Safe to use from several threads."""

    def __init__(self, seats: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seats, self._clock = seats, clock
        self._lock = threading.Lock()
        self._taken = 0
        self._next_turn = 0.0
        self._takes = USUAL_SECONDS  # smoothed seconds that a call takes now

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Hold a seat. Raises ``Full``."""
        with self._lock:
            if self._taken >= self._seats:
                raise Full(self._turn())
            self._taken += 1
        began = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
                self._takes += (self._clock() - began - self._takes) / self._seats

    def _turn(self) -> int:
        now = self._clock()
        # Pace of turns: as many a second as calls are served while all seats are taken.
        self._next_turn = max(self._next_turn, now + 1.0) + self._takes / self._seats
        if self._next_turn > now + FARTHEST_SECONDS:
            self._next_turn = now + FARTHEST_SECONDS / 2
        return math.ceil(self._next_turn - now)
