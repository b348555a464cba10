"""A soak of a server's Envoy: flows that end in every way at random, for minutes, while its memory is watched.

    python -m bench.ends --minutes 60 --threads 16

The gateway is as plain as Envoy allows, so that what is soaked is the server: the module by which CONNECT ends byte for
byte. Nothing may be left behind, and Envoy must be the same process at the end.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import psutil
import typer

from edge.envoy import halfclose
from edge.envoy.connector import ARGUMENTS, bootstrap, write_configuration
from edge.envoy.process import EnvoyError, EnvoyProcess
from tests.edge.connector_lab import (
    Authority,
    LabGateway,
    application,
    configuration,
    enrolled_server,
    until,
)
from tests.pipe import Cell, Origin, Proxied, Way, measure
from tests.pipe_tls import Http2

HOST, TOKEN = "pipe.example:80", "soak"
MODES = (
    "app closes",
    "app half-closes",
    "app resets",
    "client closes",
    "client half-closes",
    "client resets",
    "both",
)


def main(
    minutes: Annotated[float, typer.Option(min=0.1)] = 10.0,
    threads: Annotated[int, typer.Option(min=1)] = 16,
    workers: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Soak, and tell every 30 s."""
    print(f"module: {halfclose.hindrance() or 'loaded'}")
    with tempfile.TemporaryDirectory(prefix="causeway-ends-") as folder:
        asyncio.run(_soak(Path(folder), minutes * 60, threads, workers))


async def _soak(folder: Path, seconds: float, threads: int, workers: int) -> None:
    authority, origin = Authority(), Origin()
    gateway = LabGateway(folder / "gateway", authority, "connector-1", token=TOKEN)
    home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
    envoy = EnvoyProcess(home.file("envoy"), concurrency=workers, arguments=ARGUMENTS)
    everything = [application(["pipe.example"], [[80, 80]], f"127.0.0.1:{origin.port}")]
    try:
        await gateway.start()
        write_configuration(home, configuration(home, [gateway], everything))
        await envoy.start(bootstrap(home.identity))
        await until(gateway.live_tunnels, "tunnels")
        await _flows(gateway, envoy, origin, seconds, threads)
    finally:
        await envoy.stop()
        await gateway.envoy.stop()
        origin.close()


async def _flows(
    gateway: LabGateway, envoy: EnvoyProcess, origin: Origin, seconds: float, threads: int
) -> None:
    ways: list[Callable[[], Way]] = [
        partial(Proxied, gateway.access, HOST),
        partial(Http2, gateway.secure, HOST, f"Bearer {TOKEN}"),
    ]
    seen: Counter[str] = Counter()
    stop = time.monotonic() + seconds

    def run() -> None:
        while time.monotonic() < stop:
            way = random.choice(ways)
            modes = MODES[:-1] if way.func is Http2 else MODES  # type: ignore[attr-defined]
            cell = Cell(random.choice(modes), random.choice((0, 1, 1000, 100_000, 1_000_000)))
            if random.random() < 0.2:  # gone in the middle of whatever it is
                _abandon(way, cell)
                seen["abandoned"] += 1
                continue
            seen[f"{cell.mode}: {measure(origin, way, cell).word}"] += 1

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    before = envoy.incarnation
    process = psutil.Process(int((before or "0:").partition(":")[0]))
    began = time.monotonic()
    while any(thread.is_alive() for thread in running):
        await asyncio.sleep(30 if time.monotonic() < stop else 1)
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit(f"Envoy ended after {sum(seen.values())} flows")
        memory = process.memory_info().rss / 2**20
        print(
            f"{time.monotonic() - began:6.0f} s  {sum(seen.values()):8,} flows  {memory:6.1f} MiB", flush=True
        )

    async def empty() -> bool:
        names = "cluster.(ends|applications).upstream_cx_active|http.reverse.downstream_rq_active"
        try:
            lines = (await envoy.admin(f"/stats?filter=^({names})$")).splitlines()
        except EnvoyError:  # a loaded machine
            return False
        return bool(lines) and all(line.endswith(": 0") for line in lines)

    await until(empty, "every connection closed", 60)
    for what, count in sorted(seen.items()):
        print(f"{count:8,}  {what}")
    print(f"{process.memory_info().rss / 2**20:.1f} MiB at the end; the same process")


def _abandon(way: Callable[[], Way], cell: Cell) -> None:
    try:
        flow = way()
        flow.send(f"{cell.mode.replace(' ', '_')} abandoned {cell.size} 0\n".encode())
        if random.random() < 0.5:
            flow.receive()
        flow.reset()
    except OSError:
        pass


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
