"""Servers with TLS by a CA of the tests, and the environment of a machine whose store has that CA."""

from __future__ import annotations

import http.server
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.edge.gateway_pki import Authority
from tests.quiet import QuietHandler, QuietHTTPServer, serving


def server_context(folder: Path, authority: Authority, *names: str, days: float = 10) -> ssl.SSLContext:
    """Return what a server shows: a certificate for `names`, which is over for negative ``days``."""
    key, certificate = authority.issue(list(names), days=days)
    both = folder / f"{names[0].replace(':', '-')}-{days}.pem"
    both.write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


def ca_file(folder: Path, authority: Authority, name: str = "ca.pem") -> Path:
    """Leave a CA's certificate in a file."""
    file = folder / name
    file.write_bytes(authority.pem)
    return file


@contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every request with its path, by TLS or plain; give the port."""

    class Handler(QuietHandler, http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, self.path.encode())

    server = QuietHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        yield port
