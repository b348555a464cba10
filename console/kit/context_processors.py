"""Context of the page shell on every page. Its queries are lazy: a fragment that shows none of it asks nothing."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from console.core import zones
from console.kit import navigation, web


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return ``area``, ``areas``, ``navigation``, ``theme``, ``time_zone``, ``panel_layout`` and ``dialog_layout``.

    The layouts are bare fragments when htmx asks for the panel or the dialog, else whole pages with the same content.
    """
    target = web.htmx_target(request)
    return {
        "area": SimpleLazyObject(lambda: web.current_area(request)),
        "areas": SimpleLazyObject(lambda: web.areas(request)),
        "navigation": SimpleLazyObject(
            lambda: navigation.groups(getattr(request, "user", None), request.path)
        ),
        "theme": web.theme(request),
        "time_zone": str(zones.zone_here()),
        "panel_layout": "layout/panel.html" if target == "panel" else "layout/panel_page.html",
        "dialog_layout": "layout/dialog.html" if target == "dialog" else "layout/dialog_page.html",
    }
