"""Figures of a gateway for Prometheus. Units: docs/metrics.md."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from edge.envoy.process import EnvoyProcess
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.machine.metrics import counter, gauge


def gateway_metrics(state: GatewayState, flows: Flows, envoy: EnvoyProcess) -> Iterable[Metric]:
    """Return the figures; counters began with the agent."""
    counts = state.metrics
    yield gauge("causeway_envoy_up", "1: Envoy runs.", [((), float(envoy.state == "running"))])
    yield gauge("causeway_open_flows", "Flows that are open now.", [((), float(len(flows)))])
    yield gauge("causeway_applied_version", "Configuration in force.", [((), float(state.edition.version))])
    tunnels = [((connector, server), float(count)) for (connector, server), count in state.tunnels.items()]
    yield gauge("causeway_tunnels", "Living tunnels.", tunnels, "connector", "server")
    decisions = [((code,), float(count)) for code, count in sorted(counts.decisions.items())]
    yield counter("causeway_decisions", "Decisions about flows, by code.", decisions, "code")
    yield counter("causeway_flows_closed", "Flows that ended.", [((), float(counts.flows_closed))])
    yield counter("causeway_flows_cut", "Flows that were cut.", [((), float(counts.cuts))])
    yield counter(
        "causeway_tunnels_refused", "Tunnels refused to servers.", [((), float(counts.tunnels_refused))]
    )
    restarts = [((), float(counts.envoy_restarts_for_cuts))]
    yield counter(
        "causeway_envoy_restarts_for_cuts",
        "Restarts of Envoy to cut flows that could not be cut one by one.",
        restarts,
    )
