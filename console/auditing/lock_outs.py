"""Lift of lock-outs of the console's users; the page Lock-outs of Smart Access Gateway APP shows them."""

from django.http import HttpRequest, HttpResponse

from console.core import log_ins
from console.core.access import actor, acts
from console.kit import web


@acts("administrator")
def lift(request: HttpRequest, attempt_id: int) -> HttpResponse:
    """Forget a user's failed log-ins from one address."""
    name = log_ins.lock_out_lift(attempt_id=attempt_id, actor=actor(request))
    return web.done(request, web.safe_next(request, "/"), f"The lock-out of {name} was lifted.")
