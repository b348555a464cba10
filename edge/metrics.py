"""Figures for Prometheus as a file for node_exporter's textfile collector: ``metrics.prom`` in the machine's home.

A file needs no port, no token and nobody who listens. CAUSEWAY_METRICS_FILE names another place for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from edge.home import Home

logger = logging.getLogger(__name__)

VARIABLE = "CAUSEWAY_METRICS_FILE"
EVERY_SECONDS = 15.0
Collect = Callable[[], Iterable[Metric]]


class _Collector:
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._collect()


async def write_metrics(home: Home, collect: Collect) -> None:
    """Write them every 15 s until cancelled. A file that cannot be written is told of once."""
    registry = CollectorRegistry()
    registry.register(_Collector(collect))
    path = os.environ.get(VARIABLE) or str(home.file("metrics.prom"))
    complained = False
    while True:
        try:
            write_to_textfile(path, registry)
            complained = False
        except OSError as error:
            if not complained:
                logger.warning("The metrics cannot be written to %s: %s.", path, error)
            complained = True
        await asyncio.sleep(EVERY_SECONDS)


def gauge(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:
    """A gauge: (values of its labels, value)."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family


def counter(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> CounterMetricFamily:
    """A counter; ``_total`` is added to its name."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
