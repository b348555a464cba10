"""A connector server's agent as a process of its own, with a console and a gateway at its two ends."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil

from edge.envoy.process import EnvoyProcess
from tests.edge.connector_lab import (
    LabGateway,
    application,
    configuration,
    enrolled_server,
    is_served,
    running_application,
    until,
)
from tests.edge.console_lab import FakeConsole
from tests.edge.gateway_pki import Authority


class World:
    """One server's agent, its gateway, its console, an application ``wiki.corp.example``."""

    def __init__(self, folder: Path, console: FakeConsole, wiki: int) -> None:
        authority = Authority()
        self.console = console
        self.gateway = LabGateway(folder / "gateway", authority, "connector-1")
        place = folder / "server"
        self.home = enrolled_server(place, authority, "server-1", "connector-1", console=console.url)
        self.applications = [application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{wiki}")]
        self.configuration = configuration(self.home, [self.gateway], self.applications)
        self.log = folder / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None
        console.answers["server/config"] = lambda body: (200, self.configuration)
        console.answers["telemetry"] = lambda body: (200, self._acknowledged(body))

    def _acknowledged(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = {"wanted_version": self.configuration["version"], "interval": 0.2}
        epoch = self.configuration.get("epoch", "")
        return wanted | {"acknowledged": len(body["samples"]), "epoch": epoch}

    def changes(self, *, version: int, applications: bool = True, **changes: Any) -> None:
        """Let the console want another configuration, with the application or without."""
        served = self.applications if applications else []
        self.configuration = configuration(self.home, [self.gateway], served, version=version) | changes

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "edge.cli", "connector", "run", "--concurrency", "1"]
            command += ["--home", str(self.home.path)]
            self.agent = subprocess.Popen(command, stdout=log, stderr=log)

    def end(self, number: signal.Signals) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return self.agent.wait(timeout=30)

    def envoy(self) -> int | None:
        """The pid of this server's Envoy, or None."""
        try:
            pid = int(json.loads(self.home.file("envoy/envoy.pid").read_text())["pid"])
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    async def served(self) -> bool:
        return await is_served(self.gateway)

    async def unserved(self) -> bool:
        return not await self.served()

    async def begin(self) -> None:
        """Start the agent, and wait for the application."""
        self.start()
        await until(self.served, "the application")

    def told(self, sentence: str) -> bool:
        return sentence in self.log.read_text()

    def last_report(self) -> dict[str, Any]:
        return self.console.bodies("telemetry")[-1]

    def samples(self) -> list[dict[str, Any]]:
        return [sample for body in self.console.bodies("telemetry") for sample in body["samples"]]


@contextlib.asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Make a world, whose agent the test starts; the agent's log is printed, for a test that fails."""
    with FakeConsole().running() as console, running_application() as wiki:
        made = World(folder, console, wiki)
        try:
            await made.gateway.start()
            yield made
        finally:
            if made.agent is not None and made.agent.poll() is None:
                made.end(signal.SIGKILL)
            print(made.log.read_text() if made.log.exists() else "no log")
            await EnvoyProcess(made.home.file("envoy")).end_all()
            await made.gateway.envoy.stop()


@contextlib.asynccontextmanager
async def open_flow(gateway: LabGateway) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Open a flow; give a function that tells whether one more request passes on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.access)

    async def answers() -> bool:
        writer.write(b"GET /again HTTP/1.1\r\nHost: wiki.corp.example\r\n\r\n")
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return b'"/again"' in await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            return False

    try:
        writer.write(b"CONNECT wiki.corp.example:80 HTTP/1.1\r\nHost: wiki.corp.example:80\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        yield answers
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
