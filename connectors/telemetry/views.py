"""Charts of connectors, servers and all of them: figures for chart.js, the words beside them, and the same as CSV."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page

from connectors.fleet.models.connectors import Connector, Server
from connectors.fleet.selectors import server_ids
from connectors.telemetry import charts, selectors
from connectors.telemetry.store import Series
from connectors.telemetry.windows import window
from console.core.access import shows
from console.core.audit import Matter
from console.exchange.writing import download
from console.kit.charts import file_name
from console.kit.windows import Window

EVERYTHING = Matter("connector", "all connectors")

# --- Words ------------------------------------------------------------------------------------------------------------


@shows("viewer")
def connector_traffic(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show the words beside a connector's chart; the page fetches them anew while somebody looks."""
    connector = get_object_or_404(Connector, pk=connector_id)
    words = selectors.connector_words(connector, window(request.GET))
    return render(request, "connectors/_traffic_words.html", words)


@shows("viewer")
def all_traffic(request: HttpRequest) -> HttpResponse:
    """Show the words beside the overview's chart, of all connectors together."""
    return render(request, "connectors/_traffic_words.html", selectors.all_words(window(request.GET)))


@shows("viewer")
def server_traffic(request: HttpRequest, server_id: str) -> HttpResponse:
    server = get_object_or_404(Server, pk=server_id)
    shown, kind = window(request.GET), charts.kind(request.GET.get("kind", ""))
    return render(request, "connectors/_traffic_words.html", selectors.server_words(server, shown, kind))


# --- Figures ----------------------------------------------------------------------------------------------------------


@shows("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def connector_chart(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Draw a connector's servers added up; with ``by=server`` one upon the other."""
    connector = get_object_or_404(Connector, pk=connector_id)
    shown = window(request.GET)
    servers = server_ids(connector)
    if request.GET.get("by") == "server":
        names = {server.pk: str(server) for server in connector.servers.all()}
        return JsonResponse(charts.stacked(charts.per_server(servers, shown), names, shown))
    return JsonResponse(charts.bandwidth(charts.series(servers, shown), servers=len(servers)))


@shows("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def server_chart(request: HttpRequest, server_id: str) -> HttpResponse:
    """Draw one server. ``kind``: bandwidth, cpu, memory, latency or loss."""
    server = get_object_or_404(Server, pk=server_id)
    shown, kind = window(request.GET), charts.kind(request.GET.get("kind", ""))
    if not kind.gauge:
        return JsonResponse(charts.bandwidth(charts.series([server.pk], shown)))
    return JsonResponse(charts.gauge(charts.per_server([server.pk], shown).get(server.pk), kind, shown))


@shows("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def all_chart(request: HttpRequest) -> HttpResponse:
    """Draw all connectors together, for the overview."""
    return JsonResponse(
        charts.bandwidth(charts.series(None, window(request.GET)), servers=Server.objects.count())
    )


# --- CSV --------------------------------------------------------------------------------------------------------------


@shows("viewer")
def connector_chart_csv(request: HttpRequest, connector_id: str) -> HttpResponseBase:
    connector = get_object_or_404(Connector, pk=connector_id)
    shown = window(request.GET)
    return _csv(request, charts.series(server_ids(connector), shown), connector, shown)


@shows("viewer")
def server_chart_csv(request: HttpRequest, server_id: str) -> HttpResponseBase:
    server = get_object_or_404(Server, pk=server_id)
    shown = window(request.GET)
    measured = charts.per_server([server.pk], shown).get(server.pk) or charts.series([server.pk], shown)
    return _csv(request, measured, server, shown)


@shows("viewer")
def all_chart_csv(request: HttpRequest) -> HttpResponseBase:
    shown = window(request.GET)
    return _csv(request, charts.series(None, shown), EVERYTHING, shown)


def _csv(
    request: HttpRequest, measured: Series, of: Connector | Server | Matter, shown: Window
) -> HttpResponseBase:
    name = file_name("connectors" if isinstance(of, Matter) else of.pk, shown.start, shown.end)
    return download(request, name, *charts.table(measured), of=of)
