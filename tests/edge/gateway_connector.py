"""A real connector server for the tests of the gateway: the connector's own agent, its console down."""

import contextlib
import json
import logging
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil

from edge.home import Home
from edge.machine.agent import run_agent
from edge.server.agent import ConnectorAgent
from tests.edge.connector_lab import configuration, enrolled_server
from tests.edge.gateway_lab import GATEWAY, GatewayLab
from tests.ports import free_port
from tests.running import ROOT


class ConnectorServer:
    """One server of a connector, dialling the lab's gateway. ``origins``: what it dials for a host, on port 80."""

    def __init__(
        self, lab: GatewayLab, path: Path, server: str, connector: str, origins: dict[str, str]
    ) -> None:
        console = f"http://127.0.0.1:{free_port()}"
        self.home = enrolled_server(path / server, lab.authority, server, connector, console=console)
        self.server = server
        applications = [
            {"id": f"pa-{host}", "name": host, "addresses": [host], "ports": [[80, 80]], "origin": origin}
            for host, origin in origins.items()
        ]
        gateways = [{"id": GATEWAY, "host": "127.0.0.1", "port": lab.tunnel_port}]
        known = configuration(self.home, [], applications) | {"gateways": gateways}
        self.home.write_json("config.json", known)
        with (path / f"{server}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.edge.gateway_connector", str(self.home.path)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def envoy(self) -> psutil.Process | None:
        try:
            return psutil.Process(json.loads(self.home.file("envoy/envoy.pid").read_text())["pid"])
        except (OSError, psutil.Error):
            return None

    def kill(self) -> None:
        """The machine dies: agent and Envoy at once, without a word."""
        envoy = self.envoy()
        self.process.send_signal(signal.SIGKILL)
        if envoy:
            with contextlib.suppress(psutil.Error):
                envoy.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    run_agent("server", Home(Path(sys.argv[1])), partial(ConnectorAgent, concurrency=1))
