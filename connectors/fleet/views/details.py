"""Tab Instance Information of the Details panel."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from connectors.fleet import cuts, licensing, selectors, services
from connectors.fleet.forms import UpgradeWindowForm
from connectors.fleet.models.connectors import Connector
from connectors.policies.selectors import policies_with_sizes
from connectors.telemetry import selectors as telemetry
from connectors.telemetry.windows import window
from console.core.access import actor, shows, takes_form
from console.kit import web


def _state(connector: Connector) -> dict[str, Any]:
    """Return what ``_connector_state.html`` shows beside the connector."""
    return {
        "cut": None if connector.enabled else cuts.last_cut(connector),
        "license": licensing.state(),
    }


@shows("viewer")
@web.with_charts
def connector_details(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show the tab: facts, policies and the chart of a connector."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    context = {
        "connector": connector,
        "tab": "information",
        "policies": policies_with_sizes().filter(connector=connector),
        **_state(connector),
        **telemetry.chosen(request.GET),
        **telemetry.connector_words(connector, window(request.GET)),
    }
    return render(request, "connectors/details.html", context)


@shows("viewer")
def connector_state(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show the facts of Instance Information; the page fetches them anew while somebody looks."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    return render(request, "connectors/_connector_state.html", {"connector": connector, **_state(connector)})


@takes_form("operator")
def connector_upgrade_window(request: HttpRequest, connector_id: str) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    initial = {"start": connector.upgrade_start, "end": connector.upgrade_end}
    form = UpgradeWindowForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.connector_upgrade_window(connector=connector, actor=actor(request), **form.cleaned_data)
            url = reverse("connectors:details", args=[connector.pk])
            return web.done(request, url, f"The upgrade window of {connector.name} was changed.")
    return web.form_page(request, "connectors/upgrade_window.html", {"form": form, "connector": connector})
