"""Crowds of short flows on every way through the running demo, beside long ones, and what is lost of them.

    python -m bench.crowd --flows 100000 --at-once 64 --long 10

A flow is whole when its byte came, refused when a gateway said a documented reason, else lost. A tunnel is lost when a
server had to dial anew. Long flows that end fail the run.
"""

import asyncio
import json
import ssl
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from edge.envoy.process import EnvoyProcess
from tests.crowd import Http2, Opener, Outcome, by_connect, by_forward, crowd, long_flows, origin
from tests.demo import Demo, running_demo
from tests.e2e.connect import connected
from tests.pipe_demo import ends, register
from tests.pipe_tls import basic
from tests.ports import free_port

READY_SECONDS = 120


def main(
    flows: Annotated[int, typer.Option(min=1, help="Short flows on each way.")] = 100_000,
    at_once: Annotated[int, typer.Option(min=1, help="How many short flows at once.")] = 64,
    long: Annotated[int, typer.Option(min=0, help="Long flows beside the short ones.")] = 10,
    only: Annotated[
        str, typer.Option("--ways", help="Beginnings of the ways' names, with commas; all ways by default.")
    ] = "",
) -> None:
    """Open crowds of short flows on each way, and tell what became of them."""
    table = Table(
        "way", "flows", "whole", "refused", "lost", "flows/s", "tunnels lost", title="Crowds of short flows"
    )
    with tempfile.TemporaryDirectory(prefix="causeway-crowd-") as folder:
        begins = tuple(filter(None, only.split(",")))
        with running_demo(Path(folder) / "demo", READY_SECONDS) as demo:
            lost = asyncio.run(_measure(demo, Path(folder), begins, flows, at_once, long, table))
    Console(width=120).print(table)
    raise typer.Exit(int(lost))


async def _measure(
    demo: Demo, folder: Path, begins: tuple[str, ...], flows: int, at_once: int, long: int, table: Table
) -> bool:
    """Fill the table, a line for each way, and return whether anything was lost."""
    failed = False
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(origin("0.0.0.0"))  # at the cloud's hosts as well
        await asyncio.to_thread(register, demo, port)
        ways = await _ways(demo, folder, port, stack)
        for name in (name for name in ways if name.startswith(begins or "")):
            before, began = await tunnels(demo), time.monotonic()
            async with long_flows(ways[name], long):
                outcome = await crowd(ways[name], flows, at_once)
            seconds, redialled = time.monotonic() - began, await tunnels(demo) - before
            failed |= bool(outcome.lost or redialled)
            _tell(table, name, flows, outcome, seconds, redialled)
    return failed


def _tell(table: Table, name: str, flows: int, outcome: Outcome, seconds: float, redialled: int) -> None:
    refused, lost = (
        ", ".join(f"{count} {why}" for why, count in each.items()) or "0"
        for each in (outcome.refused, outcome.lost)
    )
    line = (name, str(flows), str(outcome.whole), refused, lost, f"{flows / seconds:.0f}", str(redialled))
    table.add_row(*line)
    print("  ".join(line), flush=True)


async def _ways(demo: Demo, folder: Path, port: int, stack: AsyncExitStack) -> dict[str, Opener]:
    """Connect as a client and give the ways to the origin, by the names of `tests.pipe_demo.ways`."""
    targets = ends(demo, port)
    forwards = {path: free_port() for path in targets}
    options = [part for path in targets for part in ("--forward", f"{forwards[path]}={targets[path]}")]
    client = stack.enter_context(connected(demo, folder, *options))
    await asyncio.to_thread(client.event, "ready", READY_SECONDS)
    account, secure = demo.account(), urlsplit(demo.gateway()["proxy"]).port or 443
    credentials = basic(f"{account['username']}@{account['instance']}", account["password"])
    found: dict[str, Opener] = {}
    for path, target in targets.items():
        http2 = Http2("127.0.0.1", secure, _tls(demo, "h2"), target, credentials)
        found[f"h1 {path}"] = by_connect("127.0.0.1", secure, target, credentials, _tls(demo, "http/1.1"))
        found[f"h2 {path}"] = (await stack.enter_async_context(http2)).open
        found[f"proxy {path}"] = by_connect("127.0.0.1", client.listen, target)
        found[f"forward {path}"] = by_forward(forwards[path])
    for way in found.values():
        await _opens(way)
    return found


async def _opens(way: Opener) -> None:
    """Wait until a way leads to the origin."""
    async with asyncio.timeout(READY_SECONDS):
        while not (await crowd(way, 1, 1)).whole:
            await asyncio.sleep(0.1)


def _tls(demo: Demo, alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=demo.world["ca_file"])
    context.set_alpn_protocols([alpn])
    return context


async def tunnels(demo: Demo) -> int:
    """Count the tunnels that the demo's servers have dialled so far."""
    dialled = 0
    for envoy in demo.home.glob("machine-server-*/envoy"):
        text = await EnvoyProcess(envoy).admin("/stats?format=json&filter=^http.reverse.downstream_cx_total$")
        stats: list[dict[str, Any]] = json.loads(text)["stats"]
        dialled += sum(int(each["value"]) for each in stats)
    return dialled


if __name__ == "__main__":
    typer.run(main)
