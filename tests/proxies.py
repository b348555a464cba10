"""Small proxies on loopback, as offices have them: HTTP (CONNECT, and plain requests) and SOCKS 5.

Names that only a proxy knows are given to it as ``names``; what was asked of it is in ``asked``.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.quiet import Service

BUFFER = 65_536


class Proxy(Service):
    """Proxy in threads. ``credentials``: ``user:password`` that it asks for; ``refuses``: what it answers to all."""

    scheme = ""

    def __init__(
        self, names: Mapping[str, str] | None = None, *, credentials: str = "", refuses: int = 0
    ) -> None:
        self.names, self.credentials, self.refuses = names or {}, credentials, refuses
        self.asked: list[str] = []
        super().__init__()

    @property
    def url(self) -> str:
        user = f"{self.credentials}@" if self.credentials else ""
        return f"{self.scheme}://{user}127.0.0.1:{self.port}"

    def reach(self, host: str, port: int) -> socket.socket:
        self.asked.append(f"{host}:{port}")
        return socket.create_connection((self.names.get(host, host), port), 10)


class HttpProxy(Proxy):
    scheme = "http"

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            if not piece:
                return
            head += piece
        line, _, rest = head.decode().partition("\r\n")
        method, target, _ = line.split()
        expected = base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and f"basic {expected}".lower() not in rest.lower():
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif self.refuses:
            self.asked.append(target)
            connection.sendall(f"HTTP/1.1 {self.refuses} No\r\nContent-Length: 0\r\n\r\n".encode())
        elif method == "CONNECT":
            host, _, port = target.rpartition(":")
            try:
                there = self.reach(host.strip("[]"), int(port))
            except OSError:
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(connection, there)
        else:
            place, _, path = target.removeprefix("http://").partition("/")
            host, _, port = place.partition(":")
            there = self.reach(host, int(port or 80))
            there.sendall(f"{method} /{path} HTTP/1.1\r\n{rest}".encode())
            relay(connection, there)


class SocksProxy(Proxy):
    scheme = "socks5"

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as incoming:
            methods = incoming.read(incoming.read(2)[1])
            wanted = 2 if self.credentials else 0
            if wanted not in methods:
                connection.sendall(b"\x05\xff")
                return
            connection.sendall(bytes([5, wanted]))
            if wanted:
                user = incoming.read(incoming.read(2)[1])
                password = incoming.read(incoming.read(1)[0])
                right = f"{user.decode()}:{password.decode()}" == self.credentials
                connection.sendall(bytes([1, not right]))
                if not right:
                    return
            kind = incoming.read(4)[3]
            if kind == 3:
                host = incoming.read(incoming.read(1)[0]).decode()
            else:
                host = str(ipaddress.ip_address(incoming.read(4 if kind == 1 else 16)))
            port = int.from_bytes(incoming.read(2), "big")
        try:
            there = None if self.refuses else self.reach(host, port)
        except OSError:
            there = None
        code = self.refuses or (5 if there is None else 0)
        connection.sendall(bytes([5, code, 0, 1]) + bytes(6))
        if there is not None:
            relay(connection, there)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BUFFER):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join()
    other.close()


@contextmanager
def running(proxy: Proxy) -> Iterator[Proxy]:
    """Have a proxy run during a block."""
    try:
        yield proxy
    finally:
        proxy.close()
