"""Figures about private access on the overview."""

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from connectors.fleet import selectors
from connectors.fleet.models.connectors import Connector
from connectors.telemetry import store
from connectors.telemetry.windows import RANGES, window
from console.ports import Card, Chart
from console.templatetags.causeway import bitrate


def trend(request: HttpRequest) -> SafeString:
    """Draw all connectors together, over a day unless the query names another time."""
    shown = window({"range": "24h", **request.GET.dict()})
    context = {"window": shown, "ranges": RANGES.values()}
    return render_to_string("connectors/_all_traffic.html", context, request=request)


CHART = Chart("Bandwidth of all connectors", trend)


def cards() -> list[Card]:
    connectors = list(Connector.objects.values_list("pk", flat=True))
    online = selectors.online(connectors)
    rates = store.current_of_connectors(connectors).values()
    total = f"{bitrate(sum(rate.receive + rate.send for rate in rates))}" if rates else "—"
    return [
        Card(
            "Connectors online",
            f"{len(online)} of {len(connectors)}",
            "With a tunnel on at least one gateway.",
            "connectors:list",
            10,
        ),
        Card("Throughput", total, "Through all connectors, both ways.", "connectors:list", 40),
    ]
