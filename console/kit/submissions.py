"""Forms as they are sent: each counts once, and none overwrites what its sender did not see.

`SubmissionMiddleware` gives each request what its forms carry: ``submission``, a token that counts once, and
``based_on``, the newest change when the page began to be drawn. The tag ``csrf_token`` writes both into every form of
every page, Django admin's as well, so that nothing has to be done by a form or a view.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils.safestring import SafeData, mark_safe

from console.core import conflicts, once, versions
from console.core.conflicts import BASED_ON, OWN, TOKEN
from console.core.errors import Conflict
from console.core.models.submissions import Submission
from console.kit import web

# Bytes of the largest body that is kept for a repetition; a larger one is said to have been done.
MOST_KEPT = 128 * 1024
BROKEN_OFF = "The request could not be understood. Go back and try again from the page."
HEADERS = ("Content-Type", "Location", "Cache-Control", "Vary")


class SubmissionMiddleware:
    """Middleware that stands next to the views, so that their refusals have become answers when it looks at them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        basis = versions.Basis(token=secrets.token_urlsafe(12))
        request.basis = basis  # type: ignore[attr-defined]
        token = versions.current.set(basis)
        try:
            response = self.get_response(request)
        finally:
            versions.current.reset(token)
        row: Submission | None = getattr(request, "_submission", None)
        if row is not None:
            _ended(request, row, response)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        match = request.resolver_match
        if (match and match.namespace == "edge") or not request.user.is_authenticated:
            return None
        if request.method == "POST":
            return _begun(request, view)
        known: int | None = getattr(request.session, "newest_change", None)
        request.basis.start = versions.newest() if known is None else known  # type: ignore[attr-defined]
        return None


def _begun(request: HttpRequest, view: Any) -> HttpResponse | None:
    """Claim a submission, and have the services go by the number that the form carries; answer a repetition."""
    basis: versions.Basis = request.basis  # type: ignore[attr-defined]
    try:
        token = request.POST.get(TOKEN, "")
    except UnreadablePostError:
        # The view would find an empty form.
        return web.error_response(request, 400, "That did not work", BROKEN_OFF)
    if token and not getattr(view, "repeatable", False):
        try:
            row = once.claim(key=_key(request, token), user=request.user, path=request.path)  # type: ignore[arg-type]
        except once.Repeated as repeated:
            return _again(request, repeated)
        except Conflict as refusal:
            return web.error_response(request, refusal.status, "Not possible now", refusal.message)
        request._submission = row  # type: ignore[attr-defined]
        basis.submission = row.pk
    newest = basis.start = versions.newest()
    posted = _number(request.POST.get(BASED_ON, ""))
    # A number of the future is one of before a restore: by then anything may have changed.
    basis.posted = 0 if posted is not None and posted > newest else posted
    request.POST = conflicts.chosen(request.POST)  # type: ignore[assignment]
    return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _key(request: HttpRequest, token: str) -> str:
    """Hash who sends what where; the same token with another content is another submission."""
    said = sorted((name, values) for name, values in request.POST.lists() if name not in OWN)
    found = hashlib.sha256(json.dumps([str(request.user.pk), token, request.get_full_path(), said]).encode())
    for name, file in sorted(request.FILES.items()):
        found.update(name.encode())
        for chunk in file.chunks():  # type: ignore[union-attr]
            found.update(chunk)
        file.seek(0)  # type: ignore[union-attr]
    return found.hexdigest()


def _ended(request: HttpRequest, row: Submission, response: HttpResponse) -> None:
    if response.status_code >= 400:
        once.release(row)
        return
    answer: dict[str, Any] = {"status": response.status_code, "messages": list(_queued(request))}
    answer["headers"] = {
        name: value for name, value in response.items() if name in HEADERS or name.upper().startswith("HX-")
    }
    if not response.streaming and len(response.content) <= MOST_KEPT:
        answer["body"] = response.content.decode("utf-8", "replace")
    once.keep(row, answer)


def _queued(request: HttpRequest) -> Iterator[tuple[int, str, str, bool]]:
    storage: Any = messages.get_messages(request)
    for each in getattr(storage, "_queued_messages", ()):
        yield each.level, str(each.message), each.extra_tags or "", isinstance(each.message, SafeData)


def _again(request: HttpRequest, repeated: once.Repeated) -> HttpResponse:
    """Give the first one's answer once more, with what it said."""
    answer = repeated.answer
    if answer is None or "body" not in answer:
        at = f"{repeated.row.begun_at:%Y-%m-%d %H:%M} UTC"
        sentence = (
            f"This form was sent on {at} already and has had its effect. Nothing was done a second time."
        )
        return web.error_response(request, 409, "Done already", sentence)
    response = HttpResponse(answer["body"], status=answer["status"])
    for name, value in answer["headers"].items():
        response[name] = value
    storage: Any = messages.get_messages(request)
    present = {str(each) for each in storage}
    storage.used = False
    for level, text, tags, safe in answer["messages"]:
        if text not in present:
            drawn = mark_safe(text) if safe else text  # nosec B308 B703 # noqa: S308 (as the first answer had it)
            messages.add_message(request, level, drawn, extra_tags=tags)
    return response
