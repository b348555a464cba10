"""The overview's figures about private access."""

from connectors import selectors
from connectors.models import Connector
from connectors.telemetry import store
from console.overview import Card, Chart
from console.templatetags.causeway import bitrate

CHART = Chart(
    "Bandwidth of the last 24 hours",
    "connectors:all_chart",
    "All connectors together. Receive is what users send towards the applications, send is what comes back to them.",
)


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
