"""Roles: every view declares the one it needs, and a system check fails for a view that does not.

A view is decorated with ``shows``, ``acts`` or ``takes_form``, by the methods that it answers, or with ``public``.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from console.core import second_factor
from console.core.models.access import User

View = Callable[..., HttpResponseBase]
ROLES = ("viewer", "operator", "administrator")


def has_role(user: Any, role: str) -> bool:
    """Return whether a logged-in user holds ``role`` or a higher one."""
    return bool(
        user.is_authenticated and isinstance(user, User) and ROLES.index(user.role) >= ROLES.index(role)
    )


def actor(request: HttpRequest) -> User:
    """Return the user who sent the request, as services want it; behind a role there is always one of the console's."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def role_required(role: str) -> Callable[[View], View]:
    """Declare the lowest role that may call the view; lower ones get the 403 page."""
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}")

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not has_role(request.user, role):
                raise PermissionDenied(f"This needs the role of {role}. Ask an administrator for that role.")
            return view(request, *args, **kwargs)

        wrapper.required_role = role  # type: ignore[attr-defined]
        return wrapper

    return decorate


def shows(role: str) -> Callable[[View], View]:
    """Declare a view that answers GET and changes nothing, and the lowest role that may call the view."""
    return _answers(("GET", "HEAD"), role)


def acts(role: str) -> Callable[[View], View]:
    """Declare a view that answers POST and changes something, and the lowest role that may call the view."""
    return _answers(("POST",), role)


def takes_form(role: str) -> Callable[[View], View]:
    """Declare a view that shows a form and takes the form in, and the lowest role that may call the view."""
    return _answers(("GET", "POST"), role)


def repeatable(view: View) -> View:
    """Declare a view whose POST writes nothing to the database and so may be repeated, such as a search."""
    view.repeatable = True  # type: ignore[attr-defined]
    return view


def _answers(methods: Sequence[str], role: str) -> Callable[[View], View]:
    return lambda view: require_http_methods(list(methods))(role_required(role)(view))


def public(view: View) -> View:
    """Declare a view open to everybody, logged on or not."""
    view = login_not_required(view)
    view.required_role = "public"  # type: ignore[attr-defined]
    return view


def before_the_factor(view: View) -> View:
    """Declare a view that a user reaches who must set up a second factor first."""
    view.before_the_factor = True  # type: ignore[attr-defined]
    return view


class LoginMiddleware(LoginRequiredMiddleware):
    """Middleware that asks a log-in of every URL but the edge API's, whose callers are machines and sign each call.

    Whoever must set up a second factor gets no other page before.
    """

    def process_view(
        self, request: HttpRequest, view_func: View, view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if request.resolver_match and request.resolver_match.namespace == "edge":
            return None
        if (answer := super().process_view(request, view_func, view_args, view_kwargs)) is not None:
            return answer
        open_to_all = getattr(view_func, "required_role", "") == "public"
        if open_to_all or hasattr(view_func, "before_the_factor") or not second_factor.lacks(request):
            return None
        url = reverse("second_factor")
        htmx = bool(getattr(request, "htmx", request.headers.get("HX-Request")))
        return HttpResponseClientRedirect(url) if htmx else HttpResponseRedirect(url)
