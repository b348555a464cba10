"""Return of a world of servers after the console was away: the servers' real calls, signed, without Envoy.

Each simulated server does what `edge.server.agent` does: a heartbeat when the console wants one, and after a failure
the agent's own pauses. A console of its own is started on SQLite or PostgreSQL, killed, and started again.

    python -m bench.reconnect --servers 2000 --away 20 --postgres
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.table import Table

from bench.cuts import percentile
from bench.processes import console_environment
from edge.home import Home, Identity
from edge.machine import backoff
from edge.machine.api import ApiRefused, Caller, ConsoleUnreachable, Signer
from edge.protocol.reports import MachineState, Telemetry, TelemetryAnswer
from tests.demo import ROOT, wait_until
from tests.ports import free_port
from tests.postgres import private_postgres
from tests.running import ran

CONNECTOR = "connector-" + "0" * 16
WANTED_SECONDS = 60.0
# The first calls of the servers are spread over so long; then the console names the interval.
FIRST_SECONDS = 30
START_SECONDS = 60


@dataclass
class Back:
    """Result of a return. ``times``: seconds from the console's first answer to each server's first success."""

    servers: int
    away: float
    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class ConsoleProcess:
    """Console with its state in a folder, that can be killed and started again. ``database``: URL of its database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = console_environment(folder, self.url, database)

    def manage(self, *arguments: str, text: str = "") -> None:
        """Run a command to its end, with the console's environment."""
        done = ran(sys.executable, *arguments, cwd=ROOT, env=self._environment, input=text, seconds=None)
        done.check_returncode()

    def start(self) -> None:
        """Start the console; `answers` tells when the console is there."""
        self._process = self._started("serve", "--port", str(self.port))

    def _started(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of ``manage.py``, its output in a file of its name."""
        with (self._folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", command, *arguments],
                cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """Kill the console and its workers without a word."""
        if self._process is None:
            return
        main = psutil.Process(self._process.pid)
        for process in [main, *main.children(recursive=True)]:
            process.kill()
        self._process.wait()
        self._process = None


class Server:
    """Simulated server, which sends real heartbeats."""

    def __init__(self, folder: Path, console: str) -> None:
        self.id = f"server-{uuid.uuid4().hex[:16]}"
        key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = _public_pem(key)
        home = _write_home(folder / self.id, Identity(self.id, "server", console, CONNECTOR), key)
        self._api = Caller(console, signer=Signer(home))
        self.heard_at = 0.0

    async def report_forever(self, back: Back) -> None:
        """Send heartbeats as the agent sends them."""
        failures = 0
        pause = random.uniform(0, FIRST_SECONDS)
        while True:
            await asyncio.sleep(pause)
            try:
                answer = await self._api.call("telemetry", self._heartbeat(), TelemetryAnswer, last=True)
                failures, self.heard_at = 0, time.monotonic()
                pause = float(answer.interval) * random.uniform(0.8, 1.2)
            except ConsoleUnreachable as error:
                back.errors[f"retry later: {_kind(error)}"] += 1
                failures += 1
                pause = backoff.pause(failures, asked=error.retry_after)
            except ApiRefused as error:
                word = "retry later" if error.status == 429 else "refused"
                back.errors[f"{word}: {error.status} {error.code}"] += 1
                pause = backoff.pause(1, asked=error.retry_after or 10.0)

    def _heartbeat(self) -> Telemetry:
        machine = MachineState(hostname=self.id, version="0", private_address="10.0.0.1", envoy="running")
        return Telemetry(batch=uuid.uuid4(), applied_version=0, samples=(), machine=machine)


def _public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _write_home(folder: Path, identity: Identity, key: ec.EllipticCurvePrivateKey) -> Home:
    """Write a machine's home without a real machine's care for power cuts: there are thousands of homes."""
    (folder / "pki").mkdir(parents=True)
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "pki" / "outer.key").write_bytes(key.private_bytes(*private))
    (folder / "identity.json").write_text(json.dumps(vars(identity)))
    return Home(folder)


def _kind(error: ConsoleUnreachable) -> str:
    """Return the kind of an error: what stands behind the error, without addresses."""
    cause = error.__cause__
    return (
        type(cause).__name__ if cause else str(error).rstrip(".").removeprefix("The console answered with ")
    )


def measure_reconnect(folder: Path, servers: int, away: float, *, postgres: bool = False) -> Back:
    """Run the whole story; the console's log stays in the folder. ``postgres``: on PostgreSQL, not on SQLite."""
    if postgres:
        with private_postgres(durable=True) as url:
            return _measure(folder, servers, away, url)
    return _measure(folder, servers, away, f"sqlite:///{folder / 'causeway.sqlite3'}")


def _measure(folder: Path, servers: int, away: float, database: str) -> Back:
    console = ConsoleProcess(folder, database)
    simulated = [Server(folder / "homes", console.url) for _ in range(servers)]
    console.manage("manage.py", "migrate", "--verbosity=0")
    keys = {server.id: server.public_key for server in simulated}
    console.manage("-m", "bench.reconnect_world", CONNECTOR, text=json.dumps(keys))
    try:
        return asyncio.run(_story(console, simulated, away))
    finally:
        console.kill()


async def _story(console: ConsoleProcess, servers: list[Server], away: float) -> Back:
    console.start()
    await asyncio.to_thread(wait_until, console.answers, START_SECONDS, what="the console")
    back = Back(len(servers), away)
    tasks = [asyncio.create_task(server.report_forever(back)) for server in servers]
    try:
        await _until(lambda: all(server.heard_at for server in servers), 4 * FIRST_SECONDS)
        await asyncio.to_thread(console.kill)
        back.errors.clear()
        await asyncio.sleep(away)
        console.start()
        await asyncio.to_thread(wait_until, console.answers, START_SECONDS, what="the console")
        there = time.monotonic()
        await _until(lambda: all(server.heard_at > there for server in servers), 2 * WANTED_SECONDS)
        back.times = sorted(server.heard_at - there for server in servers if server.heard_at > there)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return back


async def _until(condition: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        await asyncio.sleep(0.1)


def reconnect_table(back: Back) -> Table:
    """Return a table of the result beside what is wanted."""
    title = f"{back.servers:,} servers after the console was away for {back.away:g} s and more"
    table = Table("what", "seen", "wanted", title=title)
    missing = back.servers - len(back.times)
    for part in (50, 95, 100):
        name = "all back" if part == 100 else f"p{part} back"
        seen = f"{percentile(back.times, part):.1f} s" if back.times else "—"
        table.add_row(name, seen, f"≤ {WANTED_SECONDS:.0f} s" if part == 100 else "")
    table.add_row("not back", f"{missing:,}", "0")
    for kind, count in back.errors.most_common():
        table.add_row(kind, f"{count:,}", "" if kind.startswith("retry later") else "0")
    return table


def main(
    servers: Annotated[int, typer.Option(min=1, help="How many servers there are.")] = 2000,
    away: Annotated[float, typer.Option(min=0, help="For how many seconds the console is away.")] = 20.0,
    postgres: Annotated[bool, typer.Option(help="Take PostgreSQL, not SQLite.")] = False,
) -> None:
    """Measure how a world of servers comes back after the console was away."""
    console = Console(width=max(100, Console().width))
    kind = "PostgreSQL" if postgres else "SQLite"
    console.print(f"{servers:,} servers, a console on {kind}; this takes about two minutes ...")
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
        console.print(reconnect_table(measure_reconnect(Path(folder), servers, away, postgres=postgres)))


if __name__ == "__main__":
    typer.run(main)
