"""Seats for calls: each lane of `console.front.lanes` has its own, and whoever finds none is told when to come again.

So neither many nor slow calls of one lane keep another lane waiting. When the console comes back, thousands of servers
call at once. Without a limit each would wait until its time-out, and all the work would be done for callers that are
gone. So a call that finds no seat is answered at once and gets a turn.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from console.core.seats import Full, Seats
from console.front.lanes import LANES, lane_of
from edge.protocol.codes import Code

SENTENCE = "The console has as many calls as it can hear at a time. Try again in a moment."


class AdmissionMiddleware:
    """First middleware of all, so that a call that is turned away costs next to nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._seats = {lane.name: Seats(lane.seats) for lane in LANES}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            with self._seats[lane_of(request.path_info).name].seat():
                return self._get_response(request)
        except Full as full:
            response = _refusal(request)
            response["Retry-After"] = str(full.retry_after)
            response["Cache-Control"] = "no-store"
            response["Content-Length"] = str(len(response.content))
            return response


def _refusal(request: HttpRequest) -> HttpResponse:
    if not request.path_info.startswith("/edge/"):
        return HttpResponse(f"{SENTENCE}\n", status=503, content_type="text/plain")
    error = {"code": Code.TRY_AGAIN_LATER, "message": SENTENCE, "field": None}
    return JsonResponse({"error": error}, status=503)
