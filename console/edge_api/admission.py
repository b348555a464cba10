"""Limit on the calls of servers at a time; the others are told when to come again, each at another moment.

When the console comes back, thousands of servers call at once. Without a limit each would wait until its time-out, and
all the work would be done for callers that are gone. So a call that finds no seat is answered at once and gets a turn:
turns follow each other as fast as calls are served now, however many want one.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponse, JsonResponse

# Half of the threads that serve the console (``manage.py serve``): pages and gateways keep the others.
SEATS = 24
# Routes that servers call all the time. Gateways are few, and somebody waits for a log-on: neither is limited.
LIMITED = frozenset({"/edge/v1/telemetry", "/edge/v1/server/config"})
FARTHEST_SECONDS = 120.0
USUAL_SECONDS = 0.2


class Full(Exception):
    """Answer for a call that finds no seat. ``retry_after``: whole seconds until the caller's turn."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Come again in {retry_after} s.")
        self.retry_after = retry_after


class Admission:
    """Seats for calls, and turns for those that find none. Safe to use from several threads."""

    def __init__(self, seats: int = SEATS, *, clock: Callable[[], float] = time.monotonic) -> None:
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


class AdmissionMiddleware:
    """First middleware of all, so that a call that is turned away costs next to nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._admission = Admission()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in LIMITED:
            return self._get_response(request)
        try:
            with self._admission.seat():
                return self._get_response(request)
        except Full as full:
            message = "More servers report than the console can hear at a time. Try again later."
            error = {"code": "TryAgainLater", "message": message, "field": None}
            response = JsonResponse({"error": error}, status=503)
            response["Retry-After"] = str(full.retry_after)
            response["Content-Length"] = str(len(response.content))
            return response
