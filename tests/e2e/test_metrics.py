"""Figures of real gateways and connector servers for Prometheus are those of docs/metrics.md, no more and no less."""

from functools import partial
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.demo import Demo, wait_until
from tests.documented_metrics import documented, names


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "heading"), [("gateway", "Gateway alone"), ("server", "Connector server alone")]
)
def test_a_machines_metrics_are_the_documented_ones(demo: Demo, kind: str, heading: str) -> None:
    files = sorted(demo.home.glob(f"machine-{kind}-*/metrics.prom"))
    assert len(files) == 2
    for file in files:
        families = wait_until(partial(settled, file, kind), 40, what=f"all that {file} can tell")
        assert names(families) == documented("Gateway and connector server") | documented(heading)


def settled(file: Path, kind: str) -> list[Metric] | None:
    """Return the families, once the machine has tunnels and ways, and has measured all that it can."""
    families = list(text_string_to_metric_families(file.read_text()))
    measured = "causeway_tunnels" if kind == "gateway" else "causeway_gateway_latency_seconds"
    found = next(family for family in families if family.name == measured)
    return families if found.samples else None
