"""A console as ``manage.py serve`` runs it: real processes, TLS by a CA of the tests, SQLite in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from tests.edge.gateway_pki import Authority
from tests.ending import ended
from tests.ports import free_port
from tests.waiting import rest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 150.0
MAKE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
from pathlib import Path
from console.core import audit
from console.machines import enrollment, services
from console.models import Region
actor = audit.System("test")
gateway = services.gateway_create(
    actor=actor, name="g1", region=Region.objects.get(pk="cn-shanghai"), public_host="127.0.0.1",
    listen_address="127.0.0.1", client_port=40001, tunnel_port=40002,
)
code, _ = enrollment.code_create(kind="gateway", target=gateway.pk, actor=actor)
Path(os.environ["CAUSEWAY_STATE_DIR"], "code").write_text(code)
"""


class Served:
    """Console in a folder. ``authority`` signs its certificate, ``url`` is where it answers.

    ``made``: another console's folder, whose database and static files this console begins with.
    """

    def __init__(
        self, folder: Path, made: Path | None = None, *, tls: bool = True, front: bool = True
    ) -> None:
        self.folder, self.tls, self.front = folder, tls, front
        self.authority, self.port = Authority(), free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.certificate, self.key, self.log = folder / "tls.pem", folder / "tls.key", folder / "console.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CAUSEWAY_", "DATABASE_URL", "DJANGO_"))
        } | {
            "CAUSEWAY_SECRET_KEY": "only-for-tests-" + "0123456789abcdef" * 4,
            "CAUSEWAY_PUBLIC_URL": self.url,
            "CAUSEWAY_ALLOWED_HOSTS": "127.0.0.1",
            "CAUSEWAY_STATE_DIR": str(folder),
            "CAUSEWAY_STATIC_COMPRESSED": "0",
            "CAUSEWAY_HTTPS_ONLY": str(int(tls)),
            "DATABASE_URL": f"sqlite:///{folder}/causeway.sqlite3",
        }
        folder.mkdir(exist_ok=True)
        if made is not None:
            shutil.copytree(made, folder, dirs_exist_ok=True)
        self.write_certificate()

    def write_certificate(self) -> bytes:
        """Write a new key and its certificate, as a renewal does; return the certificate as it is on the wire."""
        key, certificate = self.authority.issue(["127.0.0.1"])
        self.key.write_bytes(key)
        self.certificate.write_bytes(certificate)
        return ssl.PEM_cert_to_DER_cert(certificate.decode())

    def make(self) -> None:
        """Make the database, what pages are made of, and a gateway with its code in the file ``code``."""
        command = [sys.executable, "-c", MAKE]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        front = (
            [f"--tls-certificate={self.certificate}", f"--tls-key={self.key}"] if self.tls else ["--front"]
        )
        command = [sys.executable, "manage.py", "serve", f"--port={self.port}", *front, *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.process

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        with ended(self.start(*arguments), seconds=60):
            self.until(self.answers, "the console answers")
            yield

    # -- What is seen ---------------------------------------------------------------------------------------------

    def until(self, condition: object, what: str) -> None:
        """Wait until a function returns something true."""
        assert callable(condition)
        deadline = time.monotonic() + PATIENCE
        while not condition():
            began = time.monotonic()
            assert began < deadline, f"not in time: {what}\n{self.said()[-3000:]}"
            rest(began)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def client(self, address: str = "127.0.0.1", *, http2: bool = False) -> httpx.Client:
        """Return a client that calls from an address of this machine."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        transport = httpx.HTTPTransport(verify=context, local_address=address, http2=http2)
        return httpx.Client(base_url=self.url, transport=transport, timeout=60, trust_env=False)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def connect(self, address: str = "127.0.0.1", *, tls: bool = True) -> socket.socket:
        """Open a connection from an address; without TLS on request."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(address, 0))
        if not (tls and self.tls):
            return raw
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def children(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        file = self.folder / "causeway.sqlite3"
        with contextlib.closing(sqlite3.connect(file, timeout=60)) as database, database:
            return database.execute(sql).fetchall()


def rest_of(connection: socket.socket) -> bytes:
    """Read what comes until the other side closes. Raise `TimeoutError` when it does not."""
    connection.settimeout(PATIENCE)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            found += data
    return found


def request(head: str, body: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a request of HTTP/1.1 with a length that its body may not have yet."""
    size = len(body) if length is None else length
    return f"{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode() + body
