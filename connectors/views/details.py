"""The Details panel's tab Instance Information."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from connectors import licensing, selectors, services
from connectors.forms import UpgradeWindowForm
from connectors.models import Connector
from connectors.telemetry.windows import window
from connectors.views import charts
from console import web
from console.access import actor, role_required
from console.errors import Refusal


def _state(connector: Connector) -> dict[str, Any]:
    """What ``_connector_state.html`` shows beside the connector."""
    return {
        "cut": None if connector.enabled else selectors.last_cut(connector),
        "license": licensing.state(),
    }


@require_safe
@role_required("viewer")
@web.with_charts
def connector_details(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The tab Instance Information."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    context = {
        "connector": connector,
        "tab": "information",
        "policies": selectors.policies_with_sizes().filter(connector=connector),
        **_state(connector),
        **charts.chosen(request),
        **charts.connector_words(connector, window(request.GET)),
    }
    return render(request, "connectors/details.html", context)


@require_safe
@role_required("viewer")
def connector_state(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The facts of Instance Information, fetched anew while they are looked at."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    return render(request, "connectors/_connector_state.html", {"connector": connector, **_state(connector)})


@require_http_methods(["GET", "POST"])
@role_required("operator")
def connector_upgrade_window(request: HttpRequest, connector_id: str) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    initial = {"start": connector.upgrade_start, "end": connector.upgrade_end}
    form = UpgradeWindowForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.connector_upgrade_window(connector=connector, actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            url = reverse("connectors:details", args=[connector.pk])
            return web.done(request, url, f"The upgrade window of {connector.name} was changed.")
    return web.form_page(request, "connectors/upgrade_window.html", {"form": form, "connector": connector})
