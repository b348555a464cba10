"""The Details panel: Instance Information and Deploy Server, with their charts."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_POST, require_safe

from connectors import selectors, services
from connectors.models import Connector, Server
from connectors.telemetry import charts, store
from console import config, web
from console.access import role_required
from console.admin_services import actor


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


@require_safe
@role_required("viewer")
@web.with_charts
def connector_details(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The tab Instance Information."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    context = {
        "connector": connector,
        "tab": "information",
        "policies": connector.policies.all(),
        "cut": None if connector.enabled else selectors.last_cut(connector),
        **_traffic(_servers_of(connector), request.GET.get("range", "")),
    }
    return render(request, "connectors/details.html", context)


@require_safe
@role_required("viewer")
def connector_traffic(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The words beside the chart, fetched anew while they are looked at."""
    connector = get_object_or_404(Connector, pk=connector_id)
    context = _traffic(_servers_of(connector), request.GET.get("range", ""))
    return render(request, "connectors/_traffic_words.html", {"connector": connector, **context})


@require_safe
@role_required("viewer")
@web.with_charts
def connector_servers(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The tab Deploy Server; for htmx aimed at the list of servers, that list alone."""
    connector = get_object_or_404(Connector, pk=connector_id)
    statuses = selectors.server_statuses(connector, config.current().servers_version)
    rates = store.current(status.server.pk for status in statuses)
    context = {
        "connector": connector,
        "tab": "servers",
        "rows": [(status, rates.get(status.server.pk)) for status in statuses],
        "range": charts.legal_range(request.GET.get("range", "")),
        "ranges": charts.RANGES.values(),
    }
    return render(request, "connectors/servers.html", context)


@require_safe
@role_required("viewer")
def server_state(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    """One server's lights and figures, fetched anew while they are looked at."""
    connector = get_object_or_404(Connector, pk=connector_id)
    statuses = selectors.server_statuses(connector, config.current().servers_version)
    status = next((status for status in statuses if status.server.pk == server_id), None)
    if status is None:
        # Removed meanwhile: nothing takes its place, and nobody asks again.
        return HttpResponse(status=286)
    rate = store.current([server_id]).get(server_id)
    return render(
        request, "connectors/_server_state.html", {"status": status, "rate": rate, "connector": connector}
    )


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


def _server(connector_id: str, server_id: str) -> Server:
    servers = Server.objects.select_related("connector").filter(connector=connector_id)
    return get_object_or_404(servers, pk=server_id)


def _servers_url(connector_id: str) -> str:
    return reverse("connectors:servers", args=[connector_id])


@require_POST
@role_required("operator")
def server_enable(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = services.server_enable(server=_server(connector_id, server_id), actor=actor(request))
    return web.done(request, _servers_url(connector_id), f"{server} is enabled.", into="panel")


@require_safe
@role_required("operator")
def server_confirm_disable(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = _server(connector_id, server_id)
    context = {
        "name": server,
        "action": reverse("connectors:server_disable", args=[connector_id, server_id]),
        "back": _servers_url(connector_id),
        "consequence": "Its tunnels close and open connections through it are cut. New ones go by the other servers "
        f"of {server.connector}, if there are any.",
    }
    return render(request, "connectors/confirm_switch_off.html", context)


@require_POST
@role_required("operator")
def server_disable(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = services.server_disable(server=_server(connector_id, server_id), actor=actor(request))
    return web.done(request, _servers_url(connector_id), f"{server} is disabled: its tunnels close.")


@require_safe
@role_required("operator")
def server_confirm_remove(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    return render(
        request, "connectors/confirm_remove_server.html", {"server": _server(connector_id, server_id)}
    )


@require_POST
@role_required("operator")
def server_remove(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = _server(connector_id, server_id)
    services.server_remove(server=server, actor=actor(request))
    return web.done(request, _servers_url(connector_id), f"{server} was removed.")
