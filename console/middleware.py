"""Answers to errors that no view caught, readable for a person, plain or htmx."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.shortcuts import resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from console.core.errors import Refusal
from console.core.versions import Stale
from console.kit import web
from console.pages import errors as error_pages
from console.users.views import log_in_again

log = logging.getLogger(__name__)

TITLES = {
    400: "That did not work",
    403: "Not permitted",
    404: "Not found",
    409: "Not possible now",
    503: "Not now",
}


class StoredNowhereMiddleware:
    """Middleware that has no browser and no proxy on the way keep a page, a download or an answer to a machine.

    Whoever logs out leaves nothing behind. Static files, which say themselves for how long they hold, are kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response


class RefusalMiddleware:
    """Middleware that turns uncaught refusals into their sentence, a lost database into a 503.

    A body that breaks off is a 400. Htmx is told to go to the log-in page; a form that was sent without a log-in is
    kept until there is one again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            allowed = response["Allow"]
            sentence = f"This address answers {allowed} only. Go back and use the button or link of the page."
            response = web.error_response(request, 405, "Wrong method", sentence)
            response["Allow"] = allowed
        if request.method == "POST" and _leads_to_login(response) and "next=" in response["Location"]:
            response = log_in_again.ask(request)
        elif web.is_htmx(request) and _leads_to_login(response):
            # Redirect of the whole page: htmx would load the log-in page into the panel or table that was asked for.
            response = HttpResponseClientRedirect(redirect_to_login(_page(request)).url)
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        return response

    def process_view(
        self, request: HttpRequest, view: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        # Character that PostgreSQL refuses and no name in a URL has.
        if any("\0" in value for value in kwargs.values() if isinstance(value, str)):
            raise Http404

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Stale):
            return web.overtaken_answer(request, exception)
        if isinstance(exception, Refusal):
            title = TITLES.get(exception.status, TITLES[400])
            response = web.error_response(request, exception.status, title, exception.message)
            if (seconds := getattr(exception, "retry_after", None)) is not None:
                response["Retry-After"] = str(seconds)
            return response
        if isinstance(exception, ObjectDoesNotExist) and request.method == "POST":
            # Deleted by somebody else between the view's look and the service's lock.
            return error_pages.not_found(request, exception)
        if isinstance(exception, UnreadablePostError):
            return error_pages.bad_request(request, exception)
        if isinstance(exception, OperationalError | InterfaceError):
            log.error("The database cannot be used: %s", exception)
            return error_pages.unavailable(request)
        return None


def _page(request: HttpRequest) -> str:
    """Return the path of the page that htmx works for; of the request itself where htmx names no page of ours."""
    try:
        named: str | None = request.htmx.current_url_abs_path  # type: ignore[attr-defined]
    except ValueError:  # no URL at all
        named = None
    return named or request.get_full_path()


def _leads_to_login(response: HttpResponse) -> bool:
    return response.status_code == 302 and response["Location"].split("?")[0] == resolve_url(
        settings.LOGIN_URL
    )
