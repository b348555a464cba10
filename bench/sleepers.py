"""Cost of flows whose readers sleep: the memory of a gateway's Envoy, and of a client's, with thousands of flows.

    python -m bench.sleepers --flows 400 --megabytes 3

Each flow's application sends as much as it can; nobody reads. Over HTTP/1.1 each flow has a connection of its own to
the gateway; the forwards of one client share one connection.

What Envoy does not read stays in the system's memory for TCP, up to some megabytes a flow. When that memory is used up
(by default a tenth of the machine's), the system resets connections, of other programs too: mind flows × megabytes.
"""

import asyncio
import json
import resource
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import psutil
import typer

from edge.envoy.client import Forward, bootstrap
from edge.envoy.process import EnvoyProcess
from tests.edge.gateway_lab import GatewayLab
from tests.ports import free_port

QUIET_SECONDS = 3.0


class Source:
    """Application that sends to everybody who connects, until the connection takes no more."""

    def __init__(self, size: int) -> None:
        self._size, self.sent = size, 0
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        block, left = b"x" * 65536, self._size
        while left > 0:
            writer.write(block[:left])
            await writer.drain()
            self.sent += min(left, len(block))
            left -= len(block)


def main(
    flows: Annotated[int, typer.Option(min=1)] = 400, megabytes: Annotated[int, typer.Option(min=1)] = 3
) -> None:
    """Open the flows on each way, and tell what Envoy holds then."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    for way in ("HTTP/1.1", "forward"):
        with tempfile.TemporaryDirectory(prefix="causeway-sleepers-") as folder, ExitStack() as stack:
            lab = GatewayLab(Path(folder) / "gateway")
            stack.callback(lab.close)
            lab.start()
            asyncio.run(_measure(way, lab, Path(folder), flows, megabytes * 1_000_000))


async def _measure(way: str, lab: GatewayLab, folder: Path, flows: int, size: int) -> None:
    source = Source(size)
    server = await source.start()
    client, local = lab.client(folder / "client", concurrency=2), free_port()
    forward = Forward("127.0.0.1", local, "127.0.0.1", source.port)
    await client.start(bootstrap(None, [forward], [lab.url]))
    gateway = lab.envoy()
    assert gateway is not None and client.incarnation is not None
    envoys = {"gateway": gateway, "client": psutil.Process(int(client.incarnation.partition(":")[0]))}
    try:
        before = _mebibytes(envoys)
        opened = await asyncio.to_thread(lambda: [_open(way, lab, local, source.port) for _ in range(flows)])
        await _quiet(lambda: source.sent)
        after = _mebibytes(envoys)
        places = {"gateway": lab.home.file("envoy"), "client": folder / "client"}
        held = {name: await _buffered(place) for name, place in places.items()}
        told = ", ".join(f"{name} {before[name]:.0f} → {after[name]:.0f} MiB" for name in envoys)
        each = {name: (after[name] - before[name]) * 1024 / flows for name in envoys}
        per_flow = ", ".join(f"{name} {kib:.0f} KiB" for name, kib in each.items())
        buffered = ", ".join(f"{name} {count / flows / 1e6:.2f}" for name, count in held.items())
        print(f"{way}, {flows} flows: {told}; a flow: {per_flow}")
        print(
            f"  MB a flow: buffered by Envoy {buffered}; taken, with what systems hold, {source.sent / flows / 1e6:.2f}"
        )
        for one in opened:
            one.close()
    finally:
        await client.stop()
        server.close()


def _open(way: str, lab: GatewayLab, local: int, port: int) -> socket.socket:
    if way == "forward":
        return socket.create_connection(("127.0.0.1", local), 30)
    tunnel: ssl.SSLSocket = lab.tunnel(f"127.0.0.1:{port}")
    return tunnel


def _mebibytes(envoys: dict[str, psutil.Process]) -> dict[str, float]:
    return {name: each.memory_info().rss / 2**20 for name, each in envoys.items()}


async def _buffered(envoy: Path) -> int:
    """Count the bytes that wait in the buffers of an Envoy's connections."""
    text = await EnvoyProcess(envoy).admin("/stats?format=json&filter=bytes_buffered$")
    return sum(int(each["value"]) for each in json.loads(text)["stats"])


async def _quiet(count: Callable[[], int]) -> None:
    """Wait until no connection takes more bytes."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        await asyncio.sleep(0.2)
        if count() != last:
            last, since = count(), time.monotonic()


if __name__ == "__main__":
    typer.run(main)
