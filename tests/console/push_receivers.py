"""Real receivers on loopback for tests of message push, and a real worker on the test's database."""

from __future__ import annotations

import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from django.db import connection

from tests.ending import ended
from tests.quiet import QuietHTTPServer, QuietServer

ROOT = Path(__file__).parents[2]


@dataclass
class Got:
    """One request that a receiver read to its end."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebReceiver:
    """Answers every POST with ``status``, ``answer`` and ``headers``; ``hold`` keeps callers waiting until released."""

    port: int = 0
    status: int = 200
    answer: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=t0p-53cret"

    def ids(self) -> list[str]:
        return [got.headers["webhook-id"] for got in self.got]


@contextmanager
def web_receiver() -> Iterator[WebReceiver]:
    receiver = WebReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            receiver.hold.wait(30)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(receiver.answer.encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = QuietHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    with _serving(server):
        yield receiver
        receiver.hold.set()


@dataclass
class MailReceiver:
    """A mail server that keeps what it is given, or refuses every recipient."""

    port: int = 0
    refuse: bool = False
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


@contextmanager
def mail_receiver(secured: ssl.SSLContext | None = None, *, starttls: bool = False) -> Iterator[MailReceiver]:
    """Run a mail server. `secured`: its TLS, which begins at once, or for `starttls` when the client asks for it."""
    receiver = MailReceiver()

    class Handler(socketserver.StreamRequestHandler):
        inside: ssl.SSLSocket | None = None

        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 sink")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"RCPT":
                    receiver.recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                if word == b"EHLO" and starttls:
                    self.say("250-sink\r\n250 STARTTLS")
                    continue
                if word == b"STAR" and secured is not None:
                    self.say("220 go on")
                    self.connection = self.inside = secured.wrap_socket(self.connection, server_side=True)
                    self.rfile = self.connection.makefile("rb")
                    self.wfile = self.connection.makefile("wb", buffering=0)
                    continue
                if word == b"DATA":
                    self.say("354 go on")
                    receiver.mails.append(self.mail())
                refused = word == b"RCPT" and receiver.refuse
                self.say("221 bye" if word == b"QUIT" else "550 nobody here" if refused else "250 ok")
                if word == b"QUIT":
                    return

        def finish(self) -> None:
            super().finish()
            if self.inside is not None:
                self.inside.close()

        def mail(self) -> bytes:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines)

    server = QuietServer(("127.0.0.1", 0), Handler)
    if secured is not None and not starttls:
        server.socket = secured.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    with _serving(server):
        yield receiver


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def worker(module: str = "tests.settings") -> Iterator[subprocess.Popen[bytes]]:
    """A real ``manage.py worker``, ended when the block ends unless it was killed before. ``module``: its settings."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{settings['NAME']}"
    else:
        url = f"postgres://{settings['USER']}@{settings['HOST'].replace('/', '%2F')}/{settings['NAME']}"
    environment = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": module,
        "CAUSEWAY_PUSH_ALLOW_PRIVATE": "1",
    }
    process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT, env=environment)
    with ended(process):
        yield process


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.05)
