"""The Envoy of ``causeway connect`` with two gateways: the first is preferred, the second takes over."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.client.gateways import nearest_first
from edge.envoy.client import ARGUMENTS, CA_FILE, TOKEN_FILE, bootstrap, ca_file, token_file
from edge.envoy.process import EnvoyProcess
from edge.home import Home
from tests.edge.gateway_lab import GATEWAY, Echo, GatewayLab
from tests.ports import free_port

pytestmark = pytest.mark.processes


def url(lab: GatewayLab) -> str:
    return f"https://127.0.0.1:{lab.client_port}"


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[tuple[GatewayLab, GatewayLab]]:
    """Two gateways of one console: what one signed, the other knows."""
    first, second = GatewayLab(tmp_path / "1"), GatewayLab(tmp_path / "2")
    second.signer, second.authority = first.signer, first.authority
    second.authority.gateway(second.home, GATEWAY)
    second.document["session_keys"] = first.document["session_keys"]
    second.home.write_json("snapshot.json", second.document)
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        if envoy := first.envoy():
            os.kill(envoy.pid, signal.SIGCONT)
        first.close()
        second.close()


def flow(port: int, echo: Echo) -> str:
    """The status of a new flow that then echoes; empty when it ends before."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        target = f"{echo.host}:{echo.port}"
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        status = connection.recv(65536).decode()[9:12]
        if status == "200":
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
        return status


def connections(lab: GatewayLab) -> int:
    """How many clients are connected to a gateway's Envoy."""
    envoy = lab.envoy()
    assert envoy is not None
    return sum(c.laddr.port == lab.client_port and c.status == "ESTABLISHED" for c in envoy.net_connections())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_gateway_that_dies_or_hangs_loses_no_new_flow(
    labs: tuple[GatewayLab, GatewayLab], tmp_path: Path, number: signal.Signals
) -> None:
    first, second = labs
    echo, port = Echo("127.0.0.1"), free_port()
    directory = tmp_path / "client"
    Home(directory).write_atomic(TOKEN_FILE, token_file(first.token()))
    Home(directory).write_atomic(CA_FILE, ca_file(first.home.file("pki/ca.pem").read_text()))
    process = EnvoyProcess(directory, concurrency=1, arguments=ARGUMENTS)

    async def story() -> None:
        await process.start(bootstrap(("127.0.0.1", port), [], [url(first), url(second)]))
        try:
            assert [await asyncio.to_thread(flow, port, echo) for _ in range(5)] == ["200"] * 5
            assert (connections(first), connections(second)) == (1, 0), "the first is preferred"
            if number == signal.SIGKILL:
                first.kill_agent()  # or it would start Envoy again
            os.kill(first.envoy().pid, number)  # type: ignore[union-attr]
            assert [await asyncio.to_thread(flow, port, echo) for _ in range(20)] == ["200"] * 20
            assert connections(second) == 1
        finally:
            await process.stop()

    try:
        asyncio.run(story())
    finally:
        echo.close()


def test_the_first_gateway_that_answers_is_preferred() -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"https://127.0.0.1:{server.getsockname()[1]}"
        assert asyncio.run(nearest_first([gone, here])) == ([here, gone], True)
    assert asyncio.run(nearest_first([gone])) == ([gone], False)
