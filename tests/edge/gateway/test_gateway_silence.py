"""Connections that never come to a request: a gateway closes them, and serves everybody else meanwhile."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.edge.gateway_lab import Echo, GatewayLab, echoes

pytestmark = [pytest.mark.processes, pytest.mark.slow]

PATIENCE = 60.0


def rest(connection: socket.socket) -> bytes:
    """Read what comes until the gateway closes. Raise `TimeoutError` when it does not."""
    connection.settimeout(PATIENCE)
    found = b""
    try:
        while data := connection.recv(4096):
            found += data
    except ConnectionResetError:
        pass
    return found


def test_who_never_begins_tls_or_never_ends_the_headers_is_hung_up_on(tmp_path: Path) -> None:
    lab, echo = GatewayLab(tmp_path), Echo()
    try:
        lab.start()
        silent = [
            socket.create_connection(("127.0.0.1", port)) for port in (lab.client_port, lab.tunnel_port)
        ]
        unfinished = lab.connect()
        unfinished.sendall(b"CONNECT 127.0.0.1:7 HTTP/1.1\r\nHost: 127.0.0.1:7\r\nProxy-Auth")
        plain = lab.connect()
        plain.sendall(b"GET http://127.0.0.1:7/ HTTP/1.1\r\nHost: 127.0.0.1:7\r\nX-")
        lab.sockets += silent
        flow = lab.tunnel(f"127.0.0.1:{echo.port}")
        assert [rest(each) for each in silent] == [b"", b""]
        for connection in (unfinished, plain):
            assert rest(connection).startswith(b"HTTP/1.1 408 ")
        assert echoes(flow), "a flow goes on"
    finally:
        lab.close()
        echo.close()
