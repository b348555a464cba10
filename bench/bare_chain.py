"""Bare chain: client, gateway and connector server as three Envoys with fixed configurations, no agent.

Binary, windows and TLS are those of the product, and the threads are as many as Envoy takes by itself, so that the
difference between the two chains is what the product adds.
"""

from pathlib import Path
from string import Template

from bench.processes import Processes, answers
from bench.traffic import GREETING
from edge.envoy.process import envoy_binary
from tests.demo import wait_until
from tests.edge.gateway_pki import Authority
from tests.ports import free_port

CONFIGURATIONS = Path(__file__).parent / "bare"
CONNECTOR = "connector-bench"
CERTIFICATES = {
    "gateway": ["gateway.local"],
    "outer": ["server-bench", f"uri:{CONNECTOR}"],
    "inner": [CONNECTOR],
}
READY_SECONDS = 30


def start_bare_chain(processes: Processes, sink_port: int) -> int:
    """Start the three Envoys; return the port at which the chain to the sink begins, once the chain reaches through."""
    folder = processes.folder
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    for name, of in CERTIFICATES.items():
        key, certificate = authority.issue(of)
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.pem").write_bytes(certificate)
    client_port = free_port()
    values: dict[str, object] = {
        "client_port": client_port,
        "access_port": free_port(),
        "tunnel_port": free_port(),
    }
    values |= {"sink_port": sink_port, "pki": folder}
    for name in ("gateway", "connector", "client"):
        filled = folder / f"{name}.yaml"
        filled.write_text(Template((CONFIGURATIONS / filled.name).read_text()).substitute(values))
        command: list[str | Path] = [envoy_binary(), "-c", filled, "--disable-hot-restart", "-l", "warning"]
        processes.start(command, log=f"{name}.log")
    wait_until(
        lambda: answers(client_port, GREETING), READY_SECONDS, what=f"the bare chain (logs in {folder})"
    )
    return client_port
