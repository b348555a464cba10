"""Charts of connectors, servers and all of them: figures for chart.js, the words beside them, and the same as CSV."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from connectors.models import Connector, Server
from connectors.telemetry import capacity, charts
from connectors.telemetry.store import Series, ServerSeries
from connectors.telemetry.windows import RANGES, window
from console.access import role_required
from console.charts import file_name
from console.csv_export import download
from console.windows import Window

TREND = RANGES["7d"].span


def chosen(request: HttpRequest) -> dict[str, Any]:
    """What ``_ranges.html`` shows: the time, and of servers which of their values."""
    return {
        "window": window(request.GET),
        "ranges": RANGES.values(),
        "by_server": request.GET.get("by") == "server",
        "kind": charts.kind(request.GET.get("kind", "")),
        "kinds": charts.KINDS.values(),
    }


def connector_words(connector: Connector, shown: Window) -> dict[str, Any]:
    """What ``_traffic_words.html`` shows of a connector."""
    servers = _servers_of(connector)
    rows = charts.rows(charts.series(servers, shown), servers=len(servers))
    what = "this connector" if len(servers) > 1 else "this server"
    return {
        "words": {
            "id": f"traffic-{connector.pk}",
            "url": f"{reverse('connectors:traffic', args=[connector.pk])}?{shown.query}",
            "csv": f"{reverse('connectors:chart_csv', args=[connector.pk])}?{shown.query}",
            "window": shown,
            "rows": rows,
            "single": len(servers) <= 1,
            "capacity": _capacity(servers, what, shown),
        }
    }


def _capacity(servers: Sequence[str], what: str, shown: Window) -> str:
    """A trend is told where one can be seen."""
    return capacity.sentence(servers, what) if _has_trend(shown) else ""


def _has_trend(shown: Window) -> bool:
    return shown.end - shown.start >= TREND


def servers_words(servers: Sequence[Server], shown: Window, kind: charts.Kind) -> dict[str, dict[str, Any]]:
    """Server id → what ``_traffic_words.html`` shows of it. One query for all of them."""
    measured = charts.per_server([server.pk for server in servers], shown)
    return {server.pk: _server_words(server.pk, measured.get(server.pk), shown, kind) for server in servers}


def _server_words(
    server: str, measured: ServerSeries | None, shown: Window, kind: charts.Kind
) -> dict[str, Any]:
    query = f"{shown.query}&kind={kind.name}"
    return {
        "id": f"traffic-{server}",
        "url": f"{reverse('connectors:server_traffic', args=[server])}?{query}",
        "csv": f"{reverse('connectors:server_chart_csv', args=[server])}?{shown.query}",
        "chart": f"{reverse('connectors:server_chart', args=[server])}?{query}",
        "window": shown,
        "rows": charts.server_rows(measured, kind),
        "single": True,
        # Where a trend can be told, it comes in a moment: to find it for many servers would hold up the page.
        "every": 1 if _has_trend(shown) and not kind.gauge else None,
    }


def _servers_of(connector: Connector) -> list[str]:
    return list(connector.servers.values_list("pk", flat=True))


# --- Words ------------------------------------------------------------------------------------------------------------


@require_safe
@role_required("viewer")
def connector_traffic(request: HttpRequest, connector_id: str) -> HttpResponse:
    """The words beside the chart, fetched anew while they are looked at."""
    connector = get_object_or_404(Connector, pk=connector_id)
    return render(request, "connectors/_traffic_words.html", connector_words(connector, window(request.GET)))


@require_safe
@role_required("viewer")
def all_traffic(request: HttpRequest) -> HttpResponse:
    """Of all connectors together, for the overview."""
    shown = window(request.GET)
    servers = Server.objects.count()
    words = {
        "id": "traffic-all",
        "url": f"{reverse('connectors:all_traffic')}?{shown.query}",
        "csv": f"{reverse('connectors:all_chart_csv')}?{shown.query}",
        "window": shown,
        "rows": charts.rows(charts.series(None, shown), servers=servers),
        "single": servers <= 1,
        "every": 30,
    }
    return render(request, "connectors/_traffic_words.html", {"words": words})


@require_safe
@role_required("viewer")
def server_traffic(request: HttpRequest, server_id: str) -> HttpResponse:
    server = get_object_or_404(Server, pk=server_id)
    shown, kind = window(request.GET), charts.kind(request.GET.get("kind", ""))
    words = servers_words([server], shown, kind)[server.pk]
    words |= {"capacity": "" if kind.gauge else _capacity([server.pk], "this server", shown), "every": None}
    return render(request, "connectors/_traffic_words.html", {"words": words})


# --- Figures ----------------------------------------------------------------------------------------------------------


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def connector_chart(request: HttpRequest, connector_id: str) -> HttpResponse:
    """A connector's servers added up; ``by=server``: one upon the other."""
    connector = get_object_or_404(Connector, pk=connector_id)
    shown = window(request.GET)
    servers = _servers_of(connector)
    if request.GET.get("by") == "server":
        names = {server.pk: str(server) for server in connector.servers.all()}
        return JsonResponse(charts.stacked(charts.per_server(servers, shown), names, shown))
    return JsonResponse(charts.bandwidth(charts.series(servers, shown), servers=len(servers)))


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def server_chart(request: HttpRequest, server_id: str) -> HttpResponse:
    """One server. ``kind``: bandwidth, cpu, memory, latency or loss."""
    server = get_object_or_404(Server, pk=server_id)
    shown, kind = window(request.GET), charts.kind(request.GET.get("kind", ""))
    if not kind.gauge:
        return JsonResponse(charts.bandwidth(charts.series([server.pk], shown)))
    return JsonResponse(charts.gauge(charts.per_server([server.pk], shown).get(server.pk), kind, shown))


@require_safe
@role_required("viewer")
@cache_control(private=True, no_cache=True)
@conditional_page
def all_chart(request: HttpRequest) -> HttpResponse:
    """Every connector together, for the overview."""
    return JsonResponse(
        charts.bandwidth(charts.series(None, window(request.GET)), servers=Server.objects.count())
    )


# --- CSV --------------------------------------------------------------------------------------------------------------


@require_safe
@role_required("viewer")
def connector_chart_csv(request: HttpRequest, connector_id: str) -> HttpResponseBase:
    connector = get_object_or_404(Connector, pk=connector_id)
    shown = window(request.GET)
    return _csv(charts.series(_servers_of(connector), shown), connector.pk, shown)


@require_safe
@role_required("viewer")
def server_chart_csv(request: HttpRequest, server_id: str) -> HttpResponseBase:
    server = get_object_or_404(Server, pk=server_id)
    shown = window(request.GET)
    measured = charts.per_server([server.pk], shown).get(server.pk) or charts.series([server.pk], shown)
    return _csv(measured, server.pk, shown)


@require_safe
@role_required("viewer")
def all_chart_csv(request: HttpRequest) -> HttpResponseBase:
    shown = window(request.GET)
    return _csv(charts.series(None, shown), "connectors", shown)


def _csv(measured: Series, name: str, shown: Window) -> HttpResponseBase:
    return download(file_name(name, shown.start, shown.end), *charts.table(measured))
