"""Figures of a connector server for Prometheus. Units: docs/metrics.md."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric

from edge.envoy.process import EnvoyProcess
from edge.machine.metrics import counter, gauge
from edge.server.meter import Counters
from edge.server.probes import Probes


def server_metrics(
    envoy: EnvoyProcess, tunnels: Mapping[str, int], probes: Probes, counters: Counters | None, applied: int
) -> Iterable[Metric]:
    """Return the figures; bytes began with Envoy. A figure that was not measured is not there."""
    yield gauge("causeway_envoy_up", "1: Envoy runs.", [((), float(envoy.state == "running"))])
    yield gauge("causeway_applied_version", "Configuration in force.", [((), float(applied))])
    living = [((name,), float(count)) for name, count in sorted(tunnels.items())]
    yield gauge("causeway_tunnels", "Living tunnels.", living, "gateway")
    if counters is not None:
        yield counter(
            "causeway_receive_bytes", "From users, through all tunnels.", [((), float(counters.rx))]
        )
        yield counter("causeway_send_bytes", "To users, through all tunnels.", [((), float(counters.tx))])
    latency = [
        ((way.gateway, way.by), way.latency_ms / 1000) for way in probes.ways if way.latency_ms is not None
    ]
    yield gauge("causeway_gateway_latency_seconds", "Average of the last sample.", latency, "gateway", "by")
    loss = [((way.gateway,), way.loss_percent / 100) for way in probes.ways if way.loss_percent is not None]
    yield gauge("causeway_gateway_loss_ratio", "Probes lost in the last sample.", loss, "gateway")
    reached = [
        ((each.application, each.host, str(each.port)), float(each.reached)) for each in probes.destinations
    ]
    yield gauge("causeway_destination_up", "1: took a connection.", reached, "application", "host", "port")
