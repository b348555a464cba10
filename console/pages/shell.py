"""Small actions of the shell: which area the lists show, and light or dark."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.views.decorators.http import require_POST

from console.core.access import acts, public, repeatable
from console.core.errors import Invalid
from console.kit import web

YEAR = 365 * 24 * 3600


@repeatable
@acts("viewer")
def area_select(request: HttpRequest) -> HttpResponse:
    """Remember the area whose objects the lists show, and go back to the page it was chosen on."""
    chosen = request.POST.get("area", "")
    if chosen not in {area.pk for area in web.areas(request)}:
        legal = ", ".join(area.pk for area in web.areas(request))
        raise Invalid(f"Area must be one of: {legal}.", field="area")
    return _remember(request, web.AREA_COOKIE, chosen)


@repeatable
@require_POST
@public
def theme_select(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's choice."""
    chosen = request.POST.get("theme", "")
    if chosen not in web.THEMES:
        raise Invalid("Theme must be light, dark or system.", field="theme")
    return _remember(request, web.THEME_COOKIE, chosen)


def _remember(request: HttpRequest, cookie: str, value: str) -> HttpResponse:
    response = HttpResponseRedirect(web.safe_next(request, resolve_url("/")))
    response.set_cookie(
        cookie,
        value,
        max_age=YEAR,
        httponly=cookie == web.AREA_COOKIE,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return response
