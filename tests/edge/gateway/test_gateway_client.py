"""The gateway with ``causeway connect``'s Envoy as its client: many flows over one HTTP/2 connection."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.envoy.client import CA_FILE, TOKEN_FILE, bootstrap, ca_file, token_file
from edge.envoy.process import EnvoyProcess
from edge.home import Home
from tests.edge.gateway_lab import INSTANCE, SESSION, Echo, GatewayLab
from tests.ports import free_port

pytestmark = pytest.mark.processes


@asynccontextmanager
async def client(lab: GatewayLab, path: Path) -> AsyncIterator[int]:
    """The port of a local proxy whose flows belong to the lab's session."""
    directory, port = path / "client", free_port()
    Home(directory).write_atomic(TOKEN_FILE, token_file(lab.token()))
    Home(directory).write_atomic(CA_FILE, ca_file(lab.home.file("pki/ca.pem").read_text()))
    process = EnvoyProcess(directory, concurrency=1)
    gateway = f"https://127.0.0.1:{lab.client_port}"
    await process.start(bootstrap(("127.0.0.1", port), [], [gateway]))
    try:
        yield port
    finally:
        await process.stop()


class Flow:
    """An open flow through the local proxy."""

    def __init__(self, port: int, target: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        self.head = self.socket.recv(65536)

    def echoes(self) -> bool:
        try:
            self.socket.sendall(b"hello")
            return self.socket.recv(100) == b"hello"
        except OSError:
            return False


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
def test_some_flows_of_a_connection_are_cut_and_the_others_live(tmp_path: Path) -> None:
    lab, first, second = GatewayLab(tmp_path), Echo("127.0.0.1"), Echo("127.0.0.2")
    instance = lab.document["instances"][INSTANCE]
    both, one = ({INSTANCE: instance | {"cloud_networks": [net]}} for net in ("127.0.0.0/30", "127.0.0.2/32"))
    lab.document["instances"] = both
    lab.home.write_json("snapshot.json", lab.document)
    flows: list[Flow] = []

    async def story() -> None:
        async with client(lab, tmp_path) as port:
            flows.extend(Flow(port, f"{echo.host}:{echo.port}") for echo in (first, second, first, second))
            assert [flow.head[:12] for flow in flows] == [b"HTTP/1.1 200"] * 4
            assert all(flow.echoes() for flow in flows)
            assert lab.apply(instances=one) == {"cut": 2}
            assert [flow.echoes() for flow in flows] == [False, True, False, True]
            refused = Flow(port, f"{first.host}:{first.port}")
            flows.append(refused)
            assert b" 403 " in refused.head and b"x-causeway-reason: NoMatch" in refused.head
            assert lab.apply(ended_sessions={SESSION: "kicked"}) == {"cut": 2}
            assert not any(flow.echoes() for flow in flows)

    try:
        lab.start()
        asyncio.run(story())
    finally:
        for flow in flows:
            flow.socket.close()
        lab.close()
        first.close()
        second.close()


def test_a_plain_request_over_http2(tmp_path: Path) -> None:
    lab = GatewayLab(tmp_path)

    async def story() -> bytes:
        async with client(lab, tmp_path) as port:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(
                    b"GET http://nothing.corp.example/ HTTP/1.1\r\nHost: nothing.corp.example\r\n\r\n"
                )
                return connection.recv(65536)

    try:
        lab.start()
        answer = asyncio.run(story())
    finally:
        lab.close()
    assert b" 403 " in answer and b"nothing.corp.example:80" in answer
