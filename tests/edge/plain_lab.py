"""Plain requests on every way: a gateway, a connector's server, ``causeway connect``, and origins that behave oddly."""

import asyncio
import contextlib
import re
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from edge.envoy.client import Forward, bootstrap
from tests.edge.gateway_connector import ConnectorServer
from tests.edge.gateway_lab import CONNECTOR, INSTANCE, GatewayLab, application, connector, policy, wait_until
from tests.pipe import RESET
from tests.pipe_tls import open_tls
from tests.ports import free_port
from tests.quiet import Service

SERVER = "server-00000000000000f1"
UNDERSCORE = "my_host.corp.example"


class Origin(Service):
    """An HTTP server that keeps each request as its bytes were; ``/many/N`` and ``/big/KIB`` answer with long heads.

    ``/breaks``: an answer without a length, of which the connection is reset when `breaks` is set.
    """

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.seen: list[bytes] = []
        self.breaks = threading.Event()
        self.arrived = 0  # bytes of the request that is being read
        super().__init__(handler=handler)


class Plain(socketserver.BaseRequestHandler):
    """One request, one answer, one connection."""

    server: Origin
    answers: ClassVar[dict[str, bytes]] = {
        "words": b"HTTP/1.1 299 Quite So\r\nX-MiXed: 1\r\nServer: Own/1\r\n",
        "early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
        "forged": b"HTTP/1.1 200 OK\r\nx-causeway-reason: ConnectorOffline\r\nx-causeway-part: tunnel\r\n",
    }

    def handle(self) -> None:
        data = self.read(b"", lambda data: b"\r\n\r\n" in data)
        if b"expect:" in data.lower():
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = self.read(data, self.complete)
        if b"\r\n\r\n" not in data or not self.complete(data):
            return
        self.server.seen.append(data)
        found = re.match(rb"\S+ /(many|big|\w*)/?(\d*)", data)
        assert found
        kind, number = found[1].decode(), int(found[2] or 0)
        if kind == "breaks":
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\npart")
            self.server.breaks.wait(50)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return
        more = b""
        if kind == "many":
            more = b"".join(b"X-%d: v\r\n" % index for index in range(number))
        elif kind == "big":
            more = b"X-Big: " + b"b" * (number * 1024) + b"\r\n"
        head = self.answers.get(kind, b"HTTP/1.1 200 OK\r\n")
        self.request.sendall(head + more + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")

    def read(self, data: bytes, enough: Callable[[bytes], bool]) -> bytes:
        """Read on until there is enough, or no more comes."""
        while not enough(data) and (more := self.request.recv(65536)):
            data += more
            self.server.arrived = len(data)
        return data

    @staticmethod
    def complete(data: bytes) -> bool:
        head, _, body = data.partition(b"\r\n\r\n")
        if length := re.search(rb"(?i)content-length: (\d+)", head):
            return len(body) >= int(length[1])
        return b"chunked" not in head or (b"0\r\n" in body and body.endswith(b"\r\n\r\n"))


class Ends(socketserver.BaseRequestHandler):
    """Ends the connection in place of an answer."""

    def handle(self) -> None:
        self.request.recv(65536)


class Resets(socketserver.BaseRequestHandler):
    """Resets the connection in place of an answer."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.request.close()


class NoHttp(socketserver.BaseRequestHandler):
    """Answers in another protocol."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"SSH-2.0-other\r\n\r\n")


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port on which nobody accepts, and whose queue is full: a connection to it is neither taken nor refused."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


class World:
    """``way``: "gateway" (HTTP/1 over TLS) or "connect" (the local proxy); hosts below ``corp.example`` are behind the
    connector, addresses of loopback are the gateway's own cloud network."""

    def __init__(self, path: Path, full: int) -> None:
        self.origin, self.ends, self.junk = Origin(Plain), Origin(Ends), Origin(NoHttp)
        self.resets = Origin(Resets)
        self.nobody, self.full = free_port(), full
        origins = {
            "plain.corp.example": f"127.0.0.1:{self.origin.port}",
            UNDERSCORE: f"127.0.0.1:{self.origin.port}",
            "refused.corp.example": f"127.0.0.1:{self.nobody}",
            "full.corp.example": f"127.0.0.1:{full}",
            "ends.corp.example": f"127.0.0.1:{self.ends.port}",
            "resets.corp.example": f"127.0.0.1:{self.resets.port}",
            "junk.corp.example": f"127.0.0.1:{self.junk.port}",
            "name.invalid": "",
            "localhost": "",
        }
        self.gateway = GatewayLab(path)
        instance = self.gateway.document["instances"][INSTANCE]
        self.gateway.knows(
            instances={INSTANCE: instance | {"cloud_networks": ["127.0.0.0/8"]}},
            connectors={CONNECTOR: connector(servers={SERVER: "enabled"})},
            applications={f"pa-{host}": application(host) for host in origins},
            policies=[policy("1", CONNECTOR)],
        )
        self.gateway.start()
        self.server = ConnectorServer(self.gateway, path, SERVER, CONNECTOR, origins)
        self.local, self.forward = free_port(), free_port()
        self.envoy = self.gateway.client(path / "client")
        self.runner = asyncio.Runner()
        forward = Forward("127.0.0.1", self.forward, UNDERSCORE, 80)
        listen = ("127.0.0.1", self.local)
        self.runner.run(self.envoy.start(bootstrap(listen, [forward], [self.gateway.url])))
        wait_until(lambda: b" 200 " in self.talk("gateway", get("plain.corp.example"))[:20], "a tunnel", 60)

    def asked(self, way: str, request: bytes) -> tuple[socket.socket, bytes]:
        """A connection to a proxy, and the request as that way wants it."""
        connection = self._dial(way)
        connection.settimeout(50)  # a loaded machine is slow, and no failure
        if way == "gateway":
            head, _, body = request.partition(b"\r\n\r\n")
            credentials = f"\r\nProxy-Authorization: Bearer {self.gateway.token()}\r\n\r\n".encode()
            request = head + credentials + body
        return connection, request

    def talk(self, way: str, request: bytes, rest: bytes = b"") -> bytes:
        """Send a request to a proxy and read until it closes, or until it opened a flow; `rest`: after an answer."""
        connection, request = self.asked(way, request)
        with contextlib.closing(connection):
            gone = (ssl.SSLError, ConnectionResetError, BrokenPipeError)
            with contextlib.suppress(*gone):  # an answer may come, and end it all, before all is sent
                connection.sendall(request)
            data = b""
            with contextlib.suppress(*gone):
                while more := connection.recv(65536):
                    data += more
                    if request.startswith(b"CONNECT") and b" 200 " in data[:20]:
                        break
                    if rest and b"\r\n\r\n" in data:
                        connection.sendall(rest)
                        rest = b""
            return data

    def _dial(self, way: str) -> socket.socket:
        if way == "gateway":
            return open_tls(self.gateway.client_port, "http/1.1")
        return socket.create_connection(("127.0.0.1", self.local), timeout=20)

    def close(self) -> None:
        self.runner.run(self.envoy.stop())
        self.runner.close()
        self.server.close()
        self.gateway.close()
        for origin in (self.origin, self.ends, self.resets, self.junk):
            origin.close()


def get(host: str, path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A plain request as programs send it to a proxy, for one answer."""
    lines = [f"{method} http://{host}{path} HTTP/{version}", f"Host: {host}", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode()


def connect(target: str, version: str = "1.1") -> bytes:
    """A CONNECT."""
    return f"CONNECT {target} HTTP/{version}\r\nHost: {target}\r\n\r\n".encode()


def status(answer: bytes) -> int:
    """The status of an answer; 0 when there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


def failure(answer: bytes) -> tuple[int, str, str]:
    """Status, reason and part of an answer that the product gave in the application's place."""
    head = answer.partition(b"\r\n\r\n")[0].decode()
    reason, part = (
        found[1] if (found := re.search(rf"(?mi)^x-causeway-{name}: (\S+)", head)) else ""
        for name in ("reason", "part")
    )
    return status(answer), reason, part
