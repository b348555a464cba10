"""How fast the console takes telemetry, rolls it up and draws it.

    python -m bench.telemetry --database postgres --servers 10000 --interval 30 --seconds 600
    python -m bench.telemetry --database sqlite --servers 1000 --interval 10 --seconds 600
    python -m bench.telemetry --database sqlite --servers 1000 --seconds 0 --rollup --chart

Simulated servers sign their calls with keys of their own and send all their 10-second samples. Calls are made when they
are due, whether the ones before were answered or not, and are timed from then on. Console and PostgreSQL share one core
where the system lets a process be bound to one; the simulated servers have another.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import jwt
import psutil
import typer
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console
from rich.table import Table

from bench.cuts import percentile
from tests.postgres import private_postgres

ROOT = Path(__file__).resolve().parent.parent
PATH = "/edge/v1/telemetry"
SAMPLE_SECONDS = 10
WANTED_P99 = 0.250
CONNECTIONS = 256
# The console closes what was idle for half a minute.
KEPT_SECONDS = 15.0


@contextmanager
def console_running(environment: dict[str, str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    from console.management.commands.serve import granian_arguments

    command = [sys.executable, "-m", "granian", *granian_arguments(host="127.0.0.1", port=port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The console did not start:\n{log.read_text()}") from None
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def world(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The answer of ``bench.telemetry_world``."""
    command = [sys.executable, "-m", "bench.telemetry_world", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Server:
    """A simulated one: knows its key and which samples it has not sent yet."""

    def __init__(self, name: str, key: str, interval: float) -> None:
        self.name = name
        self._key: Any = load_pem_private_key(key.encode(), None)
        # As if it had been at it before: an interval's samples wait for the first call.
        self._sent_until = (time.time() - interval) // SAMPLE_SECONDS * SAMPLE_SECONDS

    def call(self) -> tuple[bytes, int]:
        """The next HTTP request, and how many samples are in it."""
        now = time.time()
        samples = []
        while self._sent_until + SAMPLE_SECONDS <= now:
            self._sent_until += SAMPLE_SECONDS
            traffic = int(self._sent_until) % 9973 * 1000
            samples.append(
                {
                    "time": self._sent_until, "seconds": 10.0, "rx_bytes": traffic, "tx_bytes": traffic * 3,
                    "cpu_percent": 12.5, "memory_percent": 40.0, "latency_ms": 3.25, "loss_percent": 0.0,
                }
            )  # fmt: skip
        machine = {
            "hostname": self.name,
            "version": "1",
            "private_address": "10.0.0.1",
            "uptime_seconds": 9,
            "envoy": "running",
        }
        paths = [
            {"gateway": f"gateway-{n}", "latency_ms": 3.25, "loss_percent": 0.0, "by": "udp"}
            for n in range(2)
        ]
        body = json.dumps(
            {
                "batch": str(uuid.uuid4()), "applied_version": 1, "samples": samples, "machine": machine,
                "paths": paths, "destinations": [],
            }
        ).encode()  # fmt: skip
        return self._request(body, int(now)), len(samples)

    def _request(self, body: bytes, now: int) -> bytes:
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        claims = {
            "iat": now,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
            "htm": "POST",
            "htu": PATH,
            "bsh": digest,
        }
        token = jwt.encode(claims, self._key, "ES256", headers={"kid": self.name})
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Load:
    """Sends the servers' calls when they are due, over connections that are kept."""

    def __init__(self, servers: list[Server], port: int, interval: float) -> None:
        self._servers = servers
        self._port = port
        self._interval = interval
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []
        self._limit = asyncio.Semaphore(CONNECTIONS)
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.acknowledged = 0
        self.late = 0.0

    async def run(self, seconds: float) -> None:
        gap, begin, place = self._interval / len(self._servers), time.monotonic(), 0
        tasks: set[asyncio.Task[None]] = set()
        while (due := begin + place * gap) < begin + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late = max(self.late, time.monotonic() - due)
            task = asyncio.create_task(self._call(self._servers[place % len(self._servers)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            place += 1
        if tasks:
            await asyncio.wait(tasks, timeout=30)

    async def _call(self, server: Server, due: float) -> None:
        async with self._limit:
            request, samples = server.call()
            try:
                status, answer = await self._exchange(request)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                self.statuses[type(error).__name__] += 1
                return
        self.seconds.append(time.monotonic() - due)
        self.statuses[str(status)] += 1
        if status == 200:
            self.acknowledged += answer["acknowledged"]
            assert answer["acknowledged"] == samples and not answer["refused"], answer

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, Any]]:
        while self._idle and time.monotonic() - self._idle[-1][2] > KEPT_SECONDS:
            self._idle.pop()[1].close()
        if self._idle:
            reader, writer, _ = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        self._idle.append((reader, writer, time.monotonic()))
        return int(head.split(" ", 2)[1]), json.loads(body)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def bind_to_core(core: int) -> bool:
    """For this process and those it starts from now on; False where the system cannot."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        return False
    os.sched_setaffinity(0, {core})
    return True


def cpu_seconds(process: psutil.Process) -> float:
    """Of a process and all it started that live."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in times))


def postmaster() -> psutil.Process | None:
    """The PostgreSQL that this process started."""
    found = [each for each in psutil.Process().children() if each.name().startswith("postgres")]
    return found[0] if found else None


def run_load(
    servers: list[Server], port: int, interval: float, seconds: float, console: int
) -> tuple[Load, tuple[float, float]]:
    """Send for ``seconds``; the load, and how busy console and PostgreSQL were."""
    load = Load(servers, port, interval)
    watched = [psutil.Process(console), postmaster()]
    before = [cpu_seconds(each) if each else 0.0 for each in watched]
    asyncio.run(load.run(seconds))
    used = [(cpu_seconds(each) if each else 0.0) - start for each, start in zip(watched, before, strict=True)]
    return load, (used[0] / seconds, used[1] / seconds)


def ingest_table(
    load: Load, stored: int, seconds: float, servers: int, interval: float, cores: tuple[float, float]
) -> Table:
    table = Table(
        "figure",
        "value",
        "wanted",
        title=f"{servers:,} servers, a call every {interval:g} s, for {seconds:g} s",
    )
    p99 = percentile(load.seconds, 99)
    table.add_row(
        "samples a second", f"{load.acknowledged / seconds:,.0f}", f"{servers / SAMPLE_SECONDS:,.0f}"
    )
    for part in (50, 95):
        table.add_row(f"p{part} of a call", f"{percentile(load.seconds, part) * 1000:.0f} ms", "")
    table.add_row(
        "p99 of a call",
        f"{p99 * 1000:.0f} ms",
        f"≤ {WANTED_P99 * 1000:.0f} ms" + ("" if p99 <= WANTED_P99 else "  missed"),
    )
    table.add_row("longest call", f"{max(load.seconds) * 1000:.0f} ms", "")
    table.add_row(
        "answers", ", ".join(f"{status}: {count:,}" for status, count in load.statuses.items()), "200"
    )
    table.add_row(
        "console + PostgreSQL, cores busy",
        f"{cores[0]:.2f} + {cores[1]:.2f}",
        "≤ 1" + ("" if sum(cores) <= 1 else "  missed"),
    )
    lost = load.acknowledged - stored
    table.add_row("acknowledged, but not stored", f"{lost:,}", "0" + ("" if not lost else "  missed"))
    table.add_row("the simulation itself was late by at most", f"{load.late * 1000:.0f} ms", "")
    return table


def main(
    database: Annotated[str, typer.Option(help="postgres or sqlite")] = "postgres",
    servers: Annotated[int, typer.Option(min=1)] = 10_000,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two calls of a server.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long to send; 600 is what is to be sustained.")
    ] = 60,
    rollup: Annotated[bool, typer.Option(help="Time rolling up a full day of all servers.")] = False,
    chart: Annotated[bool, typer.Option(help="Time charts with 30 days of history of all servers.")] = False,
) -> None:
    """Telemetry: taking it in, rolling it up, drawing it."""
    console = Console(width=max(100, Console().width))
    with ExitStack() as stack:
        bound = bind_to_core(0)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-bench-telemetry-")))
        url = (
            stack.enter_context(private_postgres(durable=True))
            if database == "postgres"
            else f"sqlite:///{folder / 'db'}"
        )
        port = free_port()
        environment = os.environ | {
            "DATABASE_URL": url, "CAUSEWAY_DEBUG": "0", "CAUSEWAY_HTTPS_ONLY": "0", "CAUSEWAY_SECRET_KEY": "bench-" * 12,
            "CAUSEWAY_ALLOWED_HOSTS": "127.0.0.1", "CAUSEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "CAUSEWAY_STATE_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "console.settings",
            "CAUSEWAY_TELEMETRY_INTERVAL": str(int(interval)),
        }  # fmt: skip
        for command in (["migrate", "-v0"], ["collectstatic", "-v0", "--noinput"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
        keys = folder / "servers.json"
        world(environment, "servers", str(servers), str(keys))
        if seconds:
            process = stack.enter_context(console_running(environment, port, folder / "console.log"))
            bind_to_core(1)
            simulated = [Server(name, key, interval) for name, key in json.loads(keys.read_text())]
            load, cores = run_load(simulated, port, interval, seconds, process.pid)
            stored = world(environment, "count")["samples"]
            console.print(ingest_table(load, stored, seconds, servers, interval, cores))
            console.print(
                f"{database}; " + ("console and database on one core." if bound else "not bound to one core.")
            )
        if rollup:
            found = world(environment, "rollup", str(servers), "1")
            day = f"Rolling up a day of {servers:,} servers, {found['Sample']:,} samples"
            console.print(f"{database}: {day}: {found['rollup_seconds']:.1f} s, wanted ≤ 60 s")
        if chart:
            found = world(environment, "chart", str(servers), "30")
            for name, times in found["charts"].items():
                took = f"median {times['median_ms']:.1f} ms, longest {times['worst_ms']:.1f} ms"
                console.print(
                    f"{database}: chart of {name} of one of {servers:,} servers: {took}, wanted ≤ 50 ms"
                )


if __name__ == "__main__":
    typer.run(main)
