"""Servers of tests that say nothing of a client that goes away: tests cut connections on purpose."""

from __future__ import annotations

import http.server
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Quiet(socketserver.BaseServer):
    """Server whose handlers may lose their client; any other error of a handler is still told."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class QuietServer(Quiet, socketserver.ThreadingTCPServer):
    """Server of TCP with a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True


class _Served(socketserver.BaseRequestHandler):
    server: Service

    def handle(self) -> None:
        self.server.serve(self.request)


class Service(QuietServer):
    """Server that runs on a port of its own until it is closed; ``serve`` has a thread for each connection."""

    request_queue_size = 512

    def __init__(
        self, host: str = "127.0.0.1", handler: type[socketserver.BaseRequestHandler] = _Served
    ) -> None:
        super().__init__((host, 0), handler)
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class QuietHTTPServer(Quiet, http.server.ThreadingHTTPServer):
    """Server of HTTP with a thread for each connection."""


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Handler of HTTP that does not tell of each request."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class QuietFiles(QuietHandler, http.server.SimpleHTTPRequestHandler):
    """Handler that serves the files of a folder."""


@contextmanager
def serving(server: socketserver.TCPServer | socketserver.UDPServer) -> Iterator[int]:
    """Serve in a thread during a block; give the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class QuietUDPServer(Quiet, socketserver.ThreadingUDPServer):
    """Server of UDP with a thread for each datagram."""

    daemon_threads = True
