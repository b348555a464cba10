"""The gateway with ``causeway connect``'s Envoy as its client: many flows over one HTTP/2 connection."""

import socket
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.edge.gateway_lab import INSTANCE, SESSION, Echo, GatewayLab

pytestmark = pytest.mark.processes


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
async def test_some_flows_of_a_connection_are_cut_and_the_others_live(
    lab: GatewayLab, echo: Echo, tmp_path: Path
) -> None:
    instance = lab.document["instances"][INSTANCE]
    both, one = ({INSTANCE: instance | {"cloud_networks": [net]}} for net in ("127.0.0.0/30", "127.0.0.2/32"))
    lab.apply(instances=both)
    with closing(Echo("127.0.0.2")) as other, ExitStack() as stack:
        async with lab.running_client(tmp_path / "client") as port:

            def opened(target: str) -> Flow:
                flow = Flow(port, target)
                stack.enter_context(flow.socket)
                return flow

            flows = [opened(each.target) for each in (echo, other, echo, other)]
            assert [flow.head[:12] for flow in flows] == [b"HTTP/1.1 200"] * 4
            assert all(flow.echoes() for flow in flows)
            assert lab.apply(instances=one) == {"cut": 2}
            assert [flow.echoes() for flow in flows] == [False, True, False, True]
            refused = opened(echo.target)
            assert b" 403 " in refused.head and b"x-causeway-reason: NoMatch" in refused.head
            assert lab.apply(ended_sessions={SESSION: "kicked"}) == {"cut": 2}
            assert not any(flow.echoes() for flow in flows)


async def test_a_plain_request_over_http2(lab: GatewayLab, tmp_path: Path) -> None:
    request = b"GET http://nothing.corp.example/ HTTP/1.1\r\nHost: nothing.corp.example\r\n\r\n"
    async with lab.running_client(tmp_path / "client") as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(request)
            answer = connection.recv(65536)
    assert b" 403 " in answer and b"nothing.corp.example:80" in answer
