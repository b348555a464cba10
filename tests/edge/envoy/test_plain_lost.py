"""What a client is told whose gateway, server or tunnel is lost, over plain HTTP and CONNECT."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.edge.gateway_lab import wait_until
from tests.edge.plain_lab import (
    World,
    connect,
    failure,
    full_port,
    get,
)
from tests.pipe_tls import tls_context

pytestmark = pytest.mark.processes

WAYS = ["gateway", "connect"]


@pytest.fixture
def lost_world(tmp_path: Path) -> Iterator[World]:
    """Make a world for one test alone, which takes it apart."""
    with full_port() as full, contextlib.closing(World(tmp_path, full)) as made:
        yield made


def test_connections_that_come_in_while_tunnels_end_are_served(lost_world: World) -> None:
    """One pass of a worker's loop sees the tunnels' ends first and then who dials: the numbers of their sockets."""
    world = lost_world
    envoy = world.gateway.envoy()
    assert envoy is not None
    envoy.suspend()
    try:
        wait_until(lambda: envoy.status() == psutil.STATUS_STOPPED, "a gateway that stands still")
        world.server.kill()
        address = ("127.0.0.1", world.gateway.client_port)
        waiting = [socket.create_connection(address, 20) for _ in range(64)]
    finally:
        envoy.resume()
    with contextlib.ExitStack() as stack:
        for connection in waiting:
            stack.enter_context(connection).settimeout(30)
        for connection in waiting:
            tls_context("http/1.1").wrap_socket(connection).close()


def test_a_client_without_a_gateway_and_a_connector_without_a_tunnel(lost_world: World) -> None:
    world = lost_world
    world.server.kill()

    def offline(way: str, request: bytes) -> bool:
        return failure(world.talk(way, request)) == (503, "ConnectorOffline", "tunnel")

    for way in WAYS:
        for request in (get("plain.corp.example"), connect("plain.corp.example:80")):
            wait_until(lambda way=way, request=request: offline(way, request), "the tunnel's part", 40)  # type: ignore[misc]
    envoy = world.gateway.envoy()
    world.gateway.kill_agent()
    assert envoy is not None
    for request in (get("plain.corp.example"), connect("plain.corp.example:80")):
        wait_until(
            lambda request=request: (
                failure(world.talk("gateway", request))  # type: ignore[misc]
                == (503, "GatewayAgentDown", "gateway")
            ),
            "the agent's absence",
        )
    envoy.send_signal(signal.SIGKILL)
    for request in (get("plain.corp.example"), connect("plain.corp.example:80")):
        assert failure(world.talk("connect", request)) == (503, "GatewayUnreachable", "gateway")
