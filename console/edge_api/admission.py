"""Limit on the calls of servers at a time; the others are told when to come again, each at another moment.

When the console comes back, thousands of servers call at once. Without a limit each would wait until its time-out, and
all the work would be done for callers that are gone. So a call that finds no seat is answered at once and gets a turn.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from console.core.seats import Full, Seats
from edge.protocol.codes import Code

# Half of the threads that serve the console (``manage.py serve``): pages and gateways keep the others.
SEATS = 24
# Routes that servers call all the time. Gateways are few, and somebody waits for a log-on: neither is limited.
LIMITED = frozenset({"/edge/v1/telemetry", "/edge/v1/server/config"})


class AdmissionMiddleware:
    """First middleware of all, so that a call that is turned away costs next to nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._seats = Seats(SEATS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in LIMITED:
            return self._get_response(request)
        try:
            with self._seats.seat():
                return self._get_response(request)
        except Full as full:
            message = "More servers report than the console can hear at a time. Try again later."
            error = {"code": Code.TRY_AGAIN_LATER, "message": message, "field": None}
            response = JsonResponse({"error": error}, status=503)
            response["Retry-After"] = str(full.retry_after)
            response["Content-Length"] = str(len(response.content))
            return response
