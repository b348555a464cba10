"""More servers than the console can hear at once: those without a seat are told when to come again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from console.core.seats import FARTHEST_SECONDS, Full, Seats
from console.edge_api.admission import SEATS, AdmissionMiddleware


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_turns_follow_each_other_as_fast_as_calls_are_served() -> None:
    clock = Clock()
    seats = Seats(2, clock=clock)
    with seats.seat(), seats.seat():
        turns = []
        for _ in range(40):
            with pytest.raises(Full) as full, seats.seat():
                pass
            turns.append(full.value.retry_after)
    # Two seats, 0.2 s a call: ten a second.
    assert turns == sorted(turns) and turns[0] == 2 and turns[-1] == 5
    with seats.seat():
        pass


def test_nobody_waits_for_ever() -> None:
    clock = Clock()
    seats = Seats(1, clock=clock)
    with seats.seat():
        for _ in range(5000):
            with pytest.raises(Full) as full, seats.seat():
                pass
            assert 1 <= full.value.retry_after <= FARTHEST_SECONDS


def test_the_console_turns_away_what_it_cannot_serve_and_serves_everything_else() -> None:
    entered, leave = threading.Barrier(SEATS + 1), threading.Event()

    def view(request: HttpRequest) -> HttpResponse:
        if request.path == "/edge/v1/telemetry":
            entered.wait(20)
            leave.wait(20)
        return HttpResponse("served")

    console, request = AdmissionMiddleware(view), RequestFactory()
    with ThreadPoolExecutor(SEATS) as servers:
        calls = [servers.submit(console, request.post("/edge/v1/telemetry")) for _ in range(SEATS)]
        entered.wait(20)
        try:
            refused = console(request.post("/edge/v1/telemetry"))
            page = console(request.get("/"))
        finally:
            leave.set()
        assert [call.result(20).status_code for call in calls] == [200] * SEATS
    assert refused.status_code == 503 and int(refused["Retry-After"]) >= 1
    assert b'"code": "TryAgainLater"' in refused.content
    assert page.content == b"served"
