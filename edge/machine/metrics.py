"""Figures for Prometheus: a file for node_exporter's textfile collector and, where wanted, ``/metrics`` by HTTP.

The file is ``metrics.prom`` in the machine's home, and needs no port and no token.
CAUSEWAY_METRICS_FILE names another place for it, CAUSEWAY_METRICS_LISTEN an address (``127.0.0.1:9464``) that answers.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from edge.home import Home

logger = logging.getLogger(__name__)

FILE_VARIABLE, LISTEN_VARIABLE = "CAUSEWAY_METRICS_FILE", "CAUSEWAY_METRICS_LISTEN"
EVERY_SECONDS = 15.0
# An agent that does not answer itself for so long answers nobody.
COLLECT_SECONDS = 5.0
Collect = Callable[[], Iterable[Metric]]


class _Collector:
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _registry(collect: Collect) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Collector(collect))
    return registry


async def publish_metrics(home: Home, collect: Collect) -> None:
    """Write the figures every 15 s, and answer ``/metrics`` where an address is named, until cancelled.

    A file that cannot be written is told of once; so is an address that cannot be listened on.
    """
    registry = _registry(collect)
    path = os.environ.get(FILE_VARIABLE) or str(home.file("metrics.prom"))
    complained = False
    with _listening(os.environ.get(LISTEN_VARIABLE, ""), collect):
        while True:
            try:
                write_to_textfile(path, registry)
                complained = False
            except OSError as error:
                if not complained:
                    logger.warning(
                        "The metrics cannot be written to %s: %s. Make room, or set CAUSEWAY_METRICS_FILE.",
                        path,
                        error,
                    )
                complained = True
            await asyncio.sleep(EVERY_SECONDS)


@contextmanager
def _listening(address: str, collect: Collect) -> Iterator[None]:
    """Answer at ``address`` for as long as the block lasts; nowhere when ``address`` is empty or cannot be had."""
    if not address:
        yield
        return
    loop = asyncio.get_running_loop()

    async def now() -> list[Metric]:
        return list(collect())

    def in_loop() -> list[Metric]:
        """Count in the agent's thread, which alone changes what is counted; the server's thread asks."""
        return asyncio.run_coroutine_threadsafe(now(), loop).result(COLLECT_SECONDS)

    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]") or "127.0.0.1", _registry(in_loop))
    except (OSError, ValueError, OverflowError) as error:
        logger.warning(
            "%s must be a free address such as 127.0.0.1:9464: %s.",
            LISTEN_VARIABLE,
            error,
        )
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(1)


def gauge(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:
    """Make a gauge of pairs (values of its labels, value)."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family


def counter(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> CounterMetricFamily:
    """Make a counter; ``_total`` is added to its name."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
