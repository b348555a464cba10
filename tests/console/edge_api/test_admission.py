"""More calls than the console can hear at once: those without a seat are told when to come again, lane by lane."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from console.core.seats import FARTHEST_SECONDS, Full, Seats
from console.edge_api.admission import AdmissionMiddleware
from console.front.lanes import GATEWAYS, LANES, LOG_INS, LOGONS, PAGES, REPORTS, UPLOADS, Lane, lane_of


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


PATHS = {
    GATEWAYS: "/edge/v1/gateway/config",
    LOGONS: "/edge/v1/login",
    REPORTS: "/edge/v1/telemetry",
    LOG_INS: "/log-in/",
    PAGES: "/gateways/",
}


@pytest.mark.parametrize("full", LANES, ids=lambda lane: lane.name)
def test_a_lane_without_a_seat_turns_calls_away_and_every_other_lane_serves(full: Lane) -> None:
    entered, leave = threading.Barrier(full.seats + 1), threading.Event()

    def view(request: HttpRequest) -> HttpResponse:
        if request.path == PATHS[full]:
            entered.wait(20)
            leave.wait(20)
        return HttpResponse("served")

    console, request = AdmissionMiddleware(view), RequestFactory()
    with ThreadPoolExecutor(full.seats) as callers:
        calls = [callers.submit(console, request.post(PATHS[full])) for _ in range(full.seats)]
        entered.wait(20)
        try:
            answers = {lane: console(request.post(path)) for lane, path in PATHS.items()}
        finally:
            leave.set()
        assert [call.result(20).status_code for call in calls] == [200] * full.seats
    refused = answers.pop(full)
    assert refused.status_code == 503 and int(refused["Retry-After"]) >= 1
    assert (b'"code": "TryAgainLater"' in refused.content) is (full not in (LOG_INS, PAGES))
    assert {answer.content for answer in answers.values()} == {b"served"}


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/edge/v1/gateway/config", GATEWAYS),
        ("/edge/v1/gateway/status", GATEWAYS),
        ("/edge/v1/session/renew", LOGONS),
        ("/edge/v1/enroll", LOGONS),
        ("/log-in/", LOG_INS),
        ("/admin/login/", LOG_INS),
        ("/edge/v1/server/config", REPORTS),
        ("/edge/v1/flows", REPORTS),
        ("/edge/v1/nothing", REPORTS),
        ("/", PAGES),
        ("/healthz", PAGES),
        ("/log-in/x", PAGES),
    ],
)
def test_each_path_has_a_lane(path: str, lane: Lane) -> None:
    assert lane_of(path) is lane


def test_uploads_are_pages_that_exist() -> None:
    for url in (
        reverse("connectors:application_import"),
        reverse("roaming:import_new", args=["sag-aaaaaaaaaaaaaaaaaa"]),
    ):
        assert re.fullmatch(UPLOADS, url) and lane_of(url) is PAGES
