"""Figures of private access for Prometheus. Units: docs/metrics.md."""

from collections.abc import Iterable

from django.db.models import Count
from django.utils import timezone
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from connectors.alerts.kinds import KINDS
from connectors.alerts.models import Alert
from connectors.fleet import selectors
from connectors.fleet.models.connectors import Connector, Server
from connectors.telemetry import store
from connectors.telemetry.models import Latest, StaleRollup
from console.machines import metrics

samples = Counter(
    "causeway_telemetry_samples",
    "Samples received, by what became of them.",
    ["outcome"],
    registry=metrics.registry,
)
calls = Histogram(
    "causeway_telemetry_call_seconds",
    "Time from a report's arrival to its commit.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=metrics.registry,
)
for outcome in ("stored", "repeated", "overlapping", "refused"):
    samples.labels(outcome)


def connectors() -> Iterable[Metric]:
    ids = list(Connector.objects.values_list("pk", flat=True))
    online = selectors.online(ids)
    states = (("online", float(len(online))), ("offline", float(len(ids) - len(online))))
    yield metrics.by(
        "causeway_connectors", "Connectors, by whether a gateway holds a tunnel.", "state", states
    )
    heard = sum(server.is_heard for server in Server.objects.only("heard_at"))
    silent = Server.objects.count() - heard
    yield metrics.by(
        "causeway_servers",
        "Servers, by whether they are heard of.",
        "state",
        (("heard", heard), ("silent", silent)),
    )
    rates = store.current_of_connectors(ids)
    receive = ((pk, rate.receive) for pk, rate in rates.items())
    send = ((pk, rate.send) for pk, rate in rates.items())
    yield metrics.by(
        "causeway_connector_receive_bits_per_second",
        "From users, all servers together.",
        "connector",
        receive,
    )
    yield metrics.by(
        "causeway_connector_send_bits_per_second", "To users, all servers together.", "connector", send
    )


def servers() -> Iterable[Metric]:
    fresh = Latest.objects.filter(time__gte=timezone.now() - store.fresh_within()).defer(
        "paths", "destinations"
    )
    rows = list(fresh.order_by("server"))
    for column, name, help_text, scale in (
        ("cpu_percent", "causeway_server_cpu_ratio", "Processor in use, 1 being all of one.", 0.01),
        ("memory_percent", "causeway_server_memory_ratio", "Memory in use, 1 being all.", 0.01),
        ("latency_ms", "causeway_server_latency_seconds", "To the gateway slowest to reach.", 0.001),
        ("loss_percent", "causeway_server_loss_ratio", "Probes lost on the way that loses most.", 0.01),
    ):
        values = (
            (row.server_id, value * scale) for row in rows if (value := getattr(row, column)) is not None
        )
        yield metrics.by(name, help_text, "server", values)


def telemetry() -> Iterable[Metric]:
    stale = StaleRollup.objects.aggregate(count=Count("pk"))["count"]
    yield GaugeMetricFamily("causeway_rollups_pending", "Roll-ups to be counted anew.", stale)
    firing = (
        Alert.objects.filter(state=Alert.State.FIRING)
        .values_list("kind")
        .annotate(Count("pk"))
        .order_by("kind")
    )
    # Give every type of alert a line: were lines to come and go, none firing would look like none asked for.
    counts = dict.fromkeys(KINDS, 0) | dict(firing)
    yield metrics.by(
        "causeway_alerts_firing",
        "Alerts that are firing.",
        "kind",
        ((kind, float(count)) for kind, count in counts.items()),
    )
