"""Error handlers of ``console.urls``. 500 and 503 ask nothing of session or database, which may be what failed."""

import sys
from datetime import UTC

from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from console.core.models.audit import AuditRow
from console.core.versions import GONE
from console.kit import web
from console.pages import changes

NOT_FOUND = "There is nothing at this address. It may have been deleted, or the link is incomplete."
FORBIDDEN = "Your role does not allow this page or action. Ask an administrator for another role."
BAD_REQUEST = "The request could not be understood. Go back and try again from the page."
SERVER_ERROR = (
    "Something went wrong in the console. The error was logged; nothing was changed. Try again in a moment."
)
UNAVAILABLE = (
    "The console cannot reach its database. Open connections through the gateways live on. "
    "Try again in a moment."
)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        # Shell left out: it would ask for the host name that was just refused.
        return web.error_response(
            request,
            400,
            "Unknown host name",
            "The console does not answer under this host name.",
            with_shell=False,
        )
    message = (
        "The request is larger than allowed." if isinstance(exception, RequestDataTooBig) else BAD_REQUEST
    )
    return _in_shell(request, 400, "That did not work", message)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _in_shell(request, 403, "Not permitted", str(exception or "") or FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    # Own sentence: Django's speak of models ("No Connector matches…") and routes, which say nothing to people.
    return _in_shell(request, 404, "Not found", _deleted(request) or NOT_FOUND)


def _deleted(request: HttpRequest) -> str:
    """Say who deleted the object that the address names, and when; "" where nobody did, or a stranger asks."""
    try:
        keys = changes.keys_of(request.resolver_match)
        if not keys or not request.user.is_authenticated:
            return ""
        row = AuditRow.objects.filter(target__in=keys).order_by("-id").first()
    except (AttributeError, DatabaseError):
        return ""
    if row is None or not row.verb.endswith(GONE):
        return ""
    when = f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    unsaved = " What you sent was not saved." if request.method == "POST" else ""
    return f"{row.target_name} was deleted by {row.actor} on {when}.{unsaved}"


def server_error(request: HttpRequest) -> HttpResponse:
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return unavailable(request)
    return web.error_response(request, 500, "Something went wrong", SERVER_ERROR, with_shell=False)


def unavailable(request: HttpRequest) -> HttpResponse:
    response = web.error_response(request, 503, "Database not reachable", UNAVAILABLE, with_shell=False)
    response["Retry-After"] = "5"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refuse a form whose token is wrong (``CSRF_FAILURE_VIEW``)."""
    message = "This form was too old or came from another site, so nothing was changed. Reload the page and try again."
    return _in_shell(request, 403, "Form not accepted", message)


def _in_shell(request: HttpRequest, status: int, title: str, message: str) -> HttpResponse:
    """Answer with the navigation while the database lasts, without it otherwise."""
    try:
        return web.error_response(request, status, title, message)
    except DatabaseError:
        return web.error_response(request, status, title, message, with_shell=False)
