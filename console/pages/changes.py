"""Line in an open page or panel that tells what others have changed about its object since it was drawn."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, ResolverMatch, resolve, reverse

from console.core import conflicts, versions
from console.core.access import has_role, shows

MOST = 5


def keys_of(match: ResolverMatch | None) -> list[str]:
    """Return the keys that an address names; a bare number is left out, since objects of several kinds have it."""
    values = map(str, match.kwargs.values()) if match else ()
    return [value for value in values if not value.isdigit() and "\0" not in value]


@shows("viewer")
def changes(request: HttpRequest) -> HttpResponse:
    """Tell what was changed about the object of the address ``of`` after the audit row ``since``."""
    of, since = request.GET.get("of", "")[:500], request.GET.get("since", "")
    number = int(since) if since.isascii() and since.isdigit() and len(since) < 19 else None
    rows = []
    if number is not None and (keys := _keys(request, of)):
        rows = list(versions.since(number, keys).order_by("-id")[:MOST])
    context = {
        "place": (getattr(request, "htmx", None) and request.htmx.target) or "changes-page",  # type: ignore[attr-defined]
        "url": f"{reverse('changes')}?{urlencode({'of': of, 'since': since})}",
        "told": conflicts.told(rows[::-1]),
        "gone": bool(rows) and rows[0].verb.endswith(versions.GONE),
    }
    return render(request, "components/_changes.html", context)


def _keys(request: HttpRequest, path: str) -> list[str]:
    """Return the keys of an address that the user may see."""
    try:
        match = resolve(path)
    except Resolver404:
        return []
    role = getattr(match.func, "required_role", "administrator")
    return keys_of(match) if role == "public" or has_role(request.user, role) else []
