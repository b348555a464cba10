"""Figures for Prometheus. Units: docs/metrics.md.

Rows of the database are read when Prometheus asks, so that every process tells the same; counters that a process keeps
hang on ``registry`` and are that process's own.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from console import ports
from console.machines import config
from console.machines.models.config import CutoverConfirmation
from console.machines.models.machines import SILENT_AFTER, Gateway

disable_created_metrics()  # type: ignore[no-untyped-call]
registry = CollectorRegistry()
# Time that a gateway may take to confirm a cut before it is worth a look.
UNCONFIRMED_AFTER = timedelta(seconds=10)


class _Database:
    def describe(self) -> list[Metric]:
        """Return nothing, so that the database is not asked before somebody looks."""
        return []

    def collect(self) -> Iterable[Metric]:
        for collect in ports.metrics:
            yield from collect()


registry.register(_Database())


def text() -> bytes:
    """Return all figures in Prometheus' text format."""
    return generate_latest(registry)


def by(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    """Make a gauge with one label."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def gateways() -> Iterable[Metric]:
    now = timezone.now()
    found = list(Gateway.objects.filter(enrolled_at__isnull=False).order_by("pk"))
    heard = {
        gateway.pk: gateway.heard_at is not None and now - gateway.heard_at < SILENT_AFTER
        for gateway in found
    }
    yield by(
        "causeway_gateway_up", "1: heard of lately.", "gateway", ((pk, float(up)) for pk, up in heard.items())
    )
    flows = (
        (each.pk, float(each.open_flows)) for each in found if heard[each.pk] and each.open_flows is not None
    )
    yield by("causeway_gateway_open_flows", "Open flows, as the gateway says.", "gateway", flows)
    current = config.current()
    applied = ((each.pk, float(each.applied_version)) for each in found if each.applied_version is not None)
    yield by("causeway_gateway_applied_version", "Configuration it works by.", "gateway", applied)
    yield GaugeMetricFamily(
        "causeway_configuration_version", "Configuration wanted of gateways.", current.version
    )
    late = CutoverConfirmation.objects.filter(
        confirmed_at=None, cutover__requested_at__lt=now - UNCONFIRMED_AFTER
    )
    yield GaugeMetricFamily(
        "causeway_cuts_unconfirmed",
        "Gateways' confirmations of cuts outstanding for over 10 s.",
        late.count(),
    )
