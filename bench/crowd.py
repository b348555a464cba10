"""Crowds of short flows on every way through the running demo, beside long ones, and what is lost of them.

    python -m bench.crowd --flows 100000 --at-once 64 --long 10

A flow is whole when its byte came, refused when a gateway said a documented reason, else lost. A tunnel is lost when a
server had to dial anew. Long flows that end fail the run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from bench.processes import Processes, answers, free_ports, wait_for
from bench.register import HOST, PORT
from edge.envoy.process import EnvoyProcess
from tests.crowd import GREETING, Http2, Opener, by_connect, by_forward, crowd, long_flows, origin
from tests.demo import ROOT, Demo, clean_environment, start_demo, stop_demo

TARGET = f"{HOST}:{PORT}"
READY_SECONDS = 120


def main(
    flows: Annotated[int, typer.Option(min=1, help="Short flows on each way.")] = 100_000,
    at_once: Annotated[int, typer.Option(min=1, help="How many of them at once.")] = 64,
    long: Annotated[int, typer.Option(min=0, help="Long flows beside them.")] = 10,
    ways: Annotated[str, typer.Option(help="Which ways, of h1,h2,proxy,forward.")] = "h1,h2,proxy,forward",
) -> None:
    """Open crowds of short flows on each way, and tell what became of them."""
    with tempfile.TemporaryDirectory(prefix="causeway-crowd-") as folder:
        home = Path(folder) / "demo"
        process, output = start_demo(home, "--fresh", seconds=READY_SECONDS)
        try:
            with Processes(Path(folder)) as processes:
                demo = Demo(home, process, output)
                table, lost = asyncio.run(measure(demo, processes, ways.split(","), flows, at_once, long))
        finally:
            stop_demo(process, home)
    Console(width=110).print(table)
    raise typer.Exit(int(lost))


async def measure(
    demo: Demo, processes: Processes, wanted: list[str], flows: int, at_once: int, long: int
) -> tuple[Table, bool]:
    """Return the table, and whether anything was lost."""
    table = Table(
        "way", "flows", "whole", "refused", "lost", "flows/s", "tunnels lost", title="Crowds of short flows"
    )
    failed = False
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(origin())
        ways = await _ways(demo, processes, port, stack)
        for name in wanted:
            before, began = await tunnels(demo), time.monotonic()
            async with long_flows(ways[name], long):
                outcome = await crowd(ways[name], flows, at_once)
            seconds, redialled = time.monotonic() - began, await tunnels(demo) - before
            failed |= bool(outcome.lost or redialled)
            refused, lost = (", ".join(f"{n} {why}" for why, n in each.items()) or "0" for each in (
                outcome.refused, outcome.lost
            ))  # fmt: skip
            rate = f"{flows / seconds:.0f}"
            table.add_row(name, str(flows), str(outcome.whole), refused, lost, rate, str(redialled))
    return table, failed


async def _ways(demo: Demo, processes: Processes, port: int, stack: AsyncExitStack) -> dict[str, Opener]:
    """Make the origin an application of the demo, and `causeway connect` with a proxy and a forward to it."""
    arguments = [str(demo.home), str(urlsplit(demo.console).port), demo.connector()["id"], str(port)]
    command = [sys.executable, "-m", "bench.register", *arguments]
    await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=clean_environment(), check=True)
    account, (proxy, forward) = demo.account(), free_ports(2)
    command = [sys.executable, "-m", "edge.cli", "connect", "--console", demo.console]
    command += ["--instance", account["instance"], "--username", account["username"], "--password-file", "-"]
    command += ["--listen", str(proxy), "--forward", f"{forward}={TARGET}"]
    processes.start(command, log="connect.log", standard_input=account["password"] + "\n")
    reached = f"causeway connect (logs in {processes.folder})"
    await asyncio.to_thread(wait_for, lambda: answers(forward, GREETING), READY_SECONDS, reached)
    gateway = urlsplit(demo.gateway()["proxy"])
    host, secure = str(gateway.hostname), int(gateway.port or 443)
    user = f"{account['username']}@{account['instance']}:{account['password']}"
    credentials = f"Basic {base64.b64encode(user.encode()).decode()}"
    http2 = await stack.enter_async_context(Http2(host, secure, _tls(demo, "h2"), TARGET, credentials))
    return {
        "h1": by_connect(host, secure, TARGET, credentials, _tls(demo, "http/1.1")),
        "h2": http2.open,
        "proxy": by_connect("127.0.0.1", proxy, TARGET),
        "forward": by_forward(forward),
    }


def _tls(demo: Demo, alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=demo.world["ca_file"])
    context.set_alpn_protocols([alpn])
    return context


async def tunnels(demo: Demo) -> int:
    """How many tunnels the demo's servers have dialled so far."""
    dialled = 0
    for envoy in demo.home.glob("machine-server-*/envoy"):
        text = await EnvoyProcess(envoy).admin("/stats?format=json&filter=^http.reverse.downstream_cx_total$")
        stats: list[dict[str, Any]] = json.loads(text)["stats"]
        dialled += sum(int(each["value"]) for each in stats)
    return dialled


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
