"""The API object and its one shape of error."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import BaseModel, ConfigDict

from console.core.errors import Refusal

log = logging.getLogger(__name__)


class Schema(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is noticed.

    Ninja's own schema validates twice when it refuses unknown fields, and a dropped value would count twice.
    """

    model_config = ConfigDict(extra="forbid")


api = NinjaAPI(title="Causeway edge API", version="1", urls_namespace="edge", docs_url=None, openapi_url=None)


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


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, problem: ValidationError) -> HttpResponse:
    first: dict[str, Any] = problem.errors[0]
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "payload"))
    # Body as a whole is wrong where no field is named.
    return error(request, 422, "InvalidParameter", f"{field or 'The body'}: {first['msg']}.", field or None)


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
