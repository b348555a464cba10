"""The API object and its one shape of error."""

import json
import logging
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError

from console.core.errors import Refusal
from console.machines import reported
from edge.protocol.message import Message, MessageInvalid

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)
View = Callable[[HttpRequest, M], Message]
# Name in the log for whoever has none yet.
UNSIGNED = "a caller that does not sign"

api = NinjaAPI(title="Causeway edge API", version="1", urls_namespace="edge", docs_url=None, openapi_url=None)


def serve(
    router: Router, path: str, kind: type[M], *, auth: Any, decides: Collection[str] = ()
) -> Callable[[View[M]], View[M]]:
    """Decorate the view of a call: the body is read as ``kind``, and the message that the view returns is the answer.

    ``decides``: fields that are strict though they have a default (`console.machines.reported`).
    """

    def decorate(view: View[M]) -> View[M]:
        def answer(request: HttpRequest) -> HttpResponse:
            caller = str(getattr(getattr(request, "auth", None), "id", UNSIGNED))
            message = reported.read(kind, _document(request), caller, decides=decides)
            return HttpResponse(view(request, message).json(), content_type="application/json; charset=utf-8")

        answer.__name__ = view.__name__
        router.post(path, auth=auth)(answer)
        return view

    return decorate


def _document(request: HttpRequest) -> object:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError) as problem:
        raise HttpError(400, "The body is no JSON") from problem


def error(
    request: HttpRequest, status: int, code: str, message: str, field: str | None = None
) -> HttpResponse:
    body = {"error": {"code": code, "message": message, "field": field}}
    return api.create_response(request, body, status=status)


@api.exception_handler(Refusal)
def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    response = error(request, refusal.status, refusal.code, refusal.message, refusal.field)
    if (seconds := getattr(refusal, "retry_after", None)) is not None:
        response["Retry-After"] = str(seconds)
    return response


@api.exception_handler(MessageInvalid)
def invalid(request: HttpRequest, problem: MessageInvalid) -> HttpResponse:
    # Body as a whole is wrong where no field is named.
    return error(request, 422, "InvalidParameter", str(problem), problem.place or None)


@api.exception_handler(AuthenticationError)
def unsigned(request: HttpRequest, problem: AuthenticationError) -> HttpResponse:
    return error(request, 401, "SignatureMissing", "This call must be signed with a machine's key.")


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, problem: HttpError) -> HttpResponse:
    return error(request, problem.status_code, "InvalidRequest", f"{problem.message}.")


@api.exception_handler(OperationalError)
def no_database(request: HttpRequest, problem: OperationalError) -> HttpResponse:
    log.error("database: %s", problem)
    return error(request, 503, "TryAgainLater", "The console's database cannot be reached. Try again later.")


@api.exception_handler(RequestDataTooBig)
def too_big(request: HttpRequest, problem: RequestDataTooBig) -> HttpResponse:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20
    return error(request, 413, "BodyTooLarge", f"The body must be at most {most} MiB.")


@api.exception_handler(UnreadablePostError)
def broken_off(request: HttpRequest, problem: UnreadablePostError) -> HttpResponse:
    return error(request, 400, "InvalidRequest", "The body did not arrive whole.")


@api.exception_handler(Exception)
def unexpected(request: HttpRequest, problem: Exception) -> HttpResponse:
    log.error("edge API: %s", request.path, exc_info=problem)
    return error(request, 500, "InternalError", "The console failed on this call; its log says why.")
