"""Words beside charts, as ``_traffic_words.html`` shows them, and what ``_ranges.html`` offers to choose."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import reverse

from connectors.fleet.models.connectors import Connector, Server
from connectors.telemetry import capacity, charts, comparison
from connectors.telemetry.store import ServerSeries
from connectors.telemetry.windows import RANGES, window
from console.kit.windows import Window

# Charts of at least this time show a trend, and the words tell of it.
TREND = RANGES["7d"].span
# Number of servers with figures in doubt that a chart names one by one.
MOST_DOUBTS = 3


def chosen(query: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``_ranges.html`` shows: the chosen time, and of servers the chosen value."""
    return {
        "window": window(query),
        "ranges": RANGES.values(),
        "by_server": query.get("by") == "server",
        "kind": charts.kind(query.get("kind", "")),
        "kinds": charts.KINDS.values(),
    }


def connector_words(connector: Connector, shown: Window) -> dict[str, Any]:
    """Return the words beside a connector's chart."""
    known = list(comparison.with_doubts(connector.servers.all(), shown.start, shown.end))
    servers = [server.pk for server in known]
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
            **_doubts(comparison.doubts(known)),
        }
    }


def all_words(shown: Window) -> dict[str, Any]:
    """Return the words beside the chart of all connectors together."""
    servers = Server.objects.count()
    return {
        "words": {
            "id": "traffic-all",
            "url": f"{reverse('connectors:all_traffic')}?{shown.query}",
            "csv": f"{reverse('connectors:all_chart_csv')}?{shown.query}",
            "window": shown,
            "rows": charts.rows(charts.series(None, shown), servers=servers),
            "single": servers <= 1,
            "every": 30,
            **_doubts(comparison.doubts(comparison.all_with_doubts(shown.start, shown.end))),
        }
    }


def server_words(server: Server, shown: Window, kind: charts.Kind) -> dict[str, Any]:
    """Return the words beside a server's chart, with the trend of the server's traffic."""
    known = comparison.with_doubts(Server.objects.filter(pk=server.pk), shown.start, shown.end)
    words = servers_words(list(known), shown, kind)[server.pk]
    trend = "" if kind.gauge else _capacity([server.pk], "this server", shown)
    return {"words": words | {"capacity": trend, "every": None}}


def servers_words(servers: Sequence[Server], shown: Window, kind: charts.Kind) -> dict[str, dict[str, Any]]:
    """Map each server (id) to the words beside its chart. Run one query, however many servers there are.

    ``servers`` are read with ``comparison.with_doubts``.
    """
    ids = [server.pk for server in servers]
    measured, doubts = charts.per_server(ids, shown), comparison.doubts(servers)
    return {
        pk: _of_server(pk, measured.get(pk), shown, kind)
        | _doubts({pk: doubts[pk]} if pk in doubts and not kind.gauge else {})
        for pk in ids
    }


def _of_server(
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
        # Trends of many servers would hold up the page: words that can have one ask for it a second later.
        "every": 1 if _has_trend(shown) and not kind.gauge else None,
    }


def _doubts(doubts: Mapping[str, comparison.Doubt]) -> dict[str, Any]:
    """Return the first servers whose figures the gateways' counts do not bear out, and how many more there are."""
    return {"doubts": list(doubts.values())[:MOST_DOUBTS], "more_doubts": max(0, len(doubts) - MOST_DOUBTS)}


def _capacity(servers: Sequence[str], what: str, shown: Window) -> str:
    """Tell the trend where the chart shows enough time to see one, else nothing."""
    return capacity.sentence(servers, what) if _has_trend(shown) else ""


def _has_trend(shown: Window) -> bool:
    return shown.end - shown.start >= TREND
