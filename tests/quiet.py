"""Servers of tests that say nothing of a client that goes away: tests cut connections on purpose."""

from __future__ import annotations

import http.server
import socketserver
import sys
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


class QuietHTTPServer(Quiet, http.server.ThreadingHTTPServer):
    """Server of HTTP with a thread for each connection."""
