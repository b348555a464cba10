"""The console of tests that have none: an HTTP server for the edge API, and answers in the console's shape."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from edge.protocol.logon import Grant, GrantedGateway, GrantedSession
from tests.quiet import QuietHandler, QuietHTTPServer, serving


class FakeConsole:
    """The console's side of the edge API, as a function for each call: ``answers[path](body) -> (status, answer)``.

    Every call is kept in `calls` as (path, body, headers).
    """

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]] = {}
        self.calls: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.clock_offset = 0.0
        self.url = ""

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was sent to one path, in order."""
        return [body for called, body, _ in list(self.calls) if called == path]

    @contextlib.contextmanager
    def running(
        self, secured: ssl.SSLContext | None = None, name: str = "127.0.0.1"
    ) -> Iterator[FakeConsole]:
        """Answer calls, by TLS where `secured` says how; `name`: the host of `url`."""
        console = self

        class Handler(QuietHandler, http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                path = self.path.removeprefix("/edge/v1/")
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                console.calls.append((path, body, headers))
                status, answer = console.answers[path](body)
                self.answer(status, json.dumps(answer).encode())

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(dt.datetime.now().timestamp() + console.clock_offset)

            def do_GET(self) -> None:
                self.answer(200, b"ok")

        server = QuietHTTPServer(("127.0.0.1", 0), Handler)
        if secured is not None:
            server.socket = secured.wrap_socket(server.socket, server_side=True)
        with serving(server) as bound:
            self.url = f"{'https' if secured else 'http'}://{name}:{bound}"
            yield self


def grant(
    token: str, *proxies: str, username: str = "alice.smith", instance: str = "sag-1", ca: str = ""
) -> dict[str, Any]:
    """The console's answer to a log-on, with a gateway for each of the proxies."""
    session = GrantedSession("session-1", "user-1", instance, username, "172.16.0.2", int(time.time()) + 600)
    gateways = [GrantedGateway(f"gateway-{place}", "area", proxy) for place, proxy in enumerate(proxies)]
    return Grant(token, session, gateways, ca).encode()


def refusal(code: str, message: str = "No.") -> dict[str, Any]:
    """The console's shape of an error."""
    return {"error": {"code": code, "message": message, "field": None}}
