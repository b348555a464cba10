"""The Details panel: Instance Information, and the charts of both tabs."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_http_methods, require_safe

from connectors import licensing, selectors, services
from connectors.forms import UpgradeWindowForm
from connectors.models import Connector, Server
from connectors.telemetry import charts
from console import web
from console.access import role_required
from console.admin_services import actor
from console.errors import Refusal


def _traffic(servers: list[str], name: str) -> dict[str, Any]:
    """The words beside a chart, for ``_traffic_words.html``."""
    chosen = charts.legal_range(name)
    measured = charts.series(servers, chosen)
    return {
        "range": chosen,
        "ranges": charts.RANGES.values(),
        "receive": charts.words(measured, measured.receive),
        "send": charts.words(measured, measured.send),
    }


def _servers_of(connector: Connector) -> list[str]:
    return list(connector.servers.values_list("pk", flat=True))


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
        **_traffic(_servers_of(connector), request.GET.get("range", "")),
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


@require_safe
@role_required("viewer")
def connector_traffic(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The words beside the chart, fetched anew while they are looked at."""
    connector = get_object_or_404(Connector, pk=connector_id)
    context = _traffic(_servers_of(connector), request.GET.get("range", ""))
    return render(request, "connectors/_traffic_words.html", {"connector": connector, **context})


def _figure(servers: list[str], name: str) -> JsonResponse:
    return JsonResponse(charts.figure(charts.series(servers, charts.legal_range(name))))


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def connector_chart(request: HttpRequest, connector_id: str) -> HttpResponse:
    """A Plotly figure: all of a connector's servers together. ``range``: 1h, 6h or 24h."""
    connector = get_object_or_404(Connector, pk=connector_id)
    return _figure(_servers_of(connector), request.GET.get("range", ""))


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def server_chart(request: HttpRequest, server_id: str) -> HttpResponse:
    """A Plotly figure of one server. ``range``: 1h, 6h or 24h."""
    server = get_object_or_404(Server, pk=server_id)
    return _figure([server.pk], request.GET.get("range", ""))
