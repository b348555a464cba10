"""Figures for Prometheus. What is in the database is read when it is asked for, so that every process tells the same;
what a process counts itself hangs on ``registry`` and is that process's own. Units: docs/metrics.md.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from django.utils import timezone
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from console import config
from console.models import CutoverConfirmation, Gateway
from console.models.machines import SILENT_AFTER

disable_created_metrics()  # type: ignore[no-untyped-call]
Collect = Callable[[], Iterable[Metric]]
registry = CollectorRegistry()
_collectors: list[Collect] = []
# A gateway that has not confirmed a cut by then is worth a look.
UNCONFIRMED_AFTER = timedelta(seconds=10)


class _Database:
    def describe(self) -> list[Metric]:
        """Nothing is asked of the database before somebody looks."""
        return []

    def collect(self) -> Iterable[Metric]:
        for collect in _collectors:
            yield from collect()


registry.register(_Database())


def contribute(collect: Collect) -> Collect:
    """Register a function that reads metrics when they are asked for; used as a decorator at start-up."""
    _collectors.append(collect)
    return collect


def text() -> bytes:
    """All of them in Prometheus' text format."""
    return generate_latest(registry)


def by(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


@contribute
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
