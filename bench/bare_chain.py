"""Bare chain: client, gateway and connector server as three Envoys with fixed configurations, no agent.

Binary, windows and TLS are those of the product, and the threads are as many as Envoy takes by itself, so that the
difference between the two chains is what the product adds.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from cryptography.x509 import DNSName, UniformResourceIdentifier

from bench.certificates import write_certificates
from bench.processes import Processes, answers, free_ports, wait_for
from bench.traffic import GREETING
from edge.envoy.process import envoy_binary

CONFIGURATIONS = Path(__file__).parent / "bare"
CONNECTOR = "connector-bench"
READY_SECONDS = 30


def start_bare_chain(processes: Processes, sink_port: int) -> int:
    """Start the three Envoys; return the port at which the chain to the sink begins, once the chain reaches through."""
    folder = processes.folder
    write_certificates(
        folder,
        {
            "gateway": [DNSName("gateway.local")],
            "outer": [DNSName("server-bench"), UniformResourceIdentifier(CONNECTOR)],
            "inner": [DNSName(CONNECTOR)],
        },
    )
    client_port, access_port, tunnel_port = free_ports(3)
    values = {
        "client_port": client_port,
        "access_port": access_port,
        "tunnel_port": tunnel_port,
        "sink_port": sink_port,
        "pki": folder,
    }
    for name in ("gateway", "connector", "client"):
        filled = folder / f"{name}.yaml"
        filled.write_text(Template((CONFIGURATIONS / filled.name).read_text()).substitute(values))
        command: list[str | Path] = [envoy_binary(), "-c", filled, "--disable-hot-restart", "-l", "warning"]
        processes.start(command, log=f"{name}.log")
    wait_for(lambda: answers(client_port, GREETING), READY_SECONDS, f"the bare chain (logs in {folder})")
    return client_port
