"""Flows as plain `http://` requests: the program's side over any way to a proxy, and the application's over a socket.

The first line of a flow is the value of a header. What the application decides is a GET, whose answer ends by closing;
what the program sends is the body of a POST, in chunks.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.pipe import Way

FIRST_LINE = "X-First-Line"


class Reader:
    """A head and its body out of a stream. A stream that ends within either is a ConnectionResetError."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive, self._ahead = receive, bytearray()

    def until(self, mark: bytes) -> bytes:
        """Return what comes before the mark, and pass over the mark."""
        while mark not in self._ahead:
            self._more()
        found, _, rest = bytes(self._ahead).partition(mark)
        self._ahead = bytearray(rest)
        return found

    def _more(self) -> None:
        if not (data := self._receive()):
            raise ConnectionResetError("the stream ended early")
        self._ahead += data

    def body(self, head: bytes) -> Iterator[bytes]:
        """Give the body that the head announces, in pieces."""
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            while size := int(self.until(b"\r\n"), 16):
                yield from self._exactly(size)
                self.until(b"\r\n")
            self.until(b"\r\n")
        elif length := re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head):
            yield from self._exactly(int(length[1]))
        else:
            if self._ahead:
                yield bytes(self._ahead)
            while data := self._receive():
                yield data

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._ahead:
                self._more()
            piece = bytes(self._ahead[:size])
            del self._ahead[:size]
            size -= len(piece)
            yield piece


class Request:
    """A request to a proxy that `way` leads to, as a flow; what is sent first is the flow's first line."""

    def __init__(self, way: Way, authority: str, *headers: str) -> None:
        self._way, self._authority, self._headers = way, authority, headers
        self._begun = self._ended = False
        self._reader = Reader(way.receive)
        self._body: Iterator[bytes] | None = None

    def send(self, data: bytes) -> None:
        if self._begun:
            self._way.send(b"%x\r\n%s\r\n" % (len(data), data))
            return
        line, self._begun = data.decode().rstrip("\n"), True
        self._ended = line.startswith("app_")
        method, framing = ("GET", []) if self._ended else ("POST", ["Transfer-Encoding: chunked"])
        head = [f"{method} http://{self._authority}/ HTTP/1.1", f"Host: {self._authority}", *self._headers]
        self._way.send("\r\n".join([*head, *framing, f"{FIRST_LINE}: {line}", "", ""]).encode())

    def receive(self) -> bytes:
        if self._body is None:
            self._body = self._answer()
        return next(self._body, b"")

    def _answer(self) -> Iterator[bytes]:
        head = self._reader.until(b"\r\n\r\n")
        if head.split()[1] != b"200":
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        yield from self._reader.body(head)

    def half_close(self) -> None:
        """End the request."""
        if not self._ended:
            self._ended = True
            self._way.send(b"0\r\n\r\n")

    def close(self) -> None:
        """End the request and read the answer before the connection goes, as HTTP's programs do."""
        with suppress(OSError):
            if self._begun:
                self.half_close()
                while self.receive():
                    pass
        self._way.close()

    def reset(self) -> None:
        self._way.reset()


class Answer:
    """The application's side of a request whose line was read already, as the socket of a flow."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._begun, self._rest = connection, False, b""
        reader = Reader(lambda: connection.recv(65536))
        head = b"\r\n" + reader.until(b"\r\n\r\n")
        if not (line := re.search(rb"(?i)\r\n%s: *([^\r]+)" % FIRST_LINE.encode(), head)):
            raise ValueError("a request without the first line of its flow")
        self.first_line = line[1]
        framed = re.search(rb"(?i)\r\n(transfer-encoding|content-length):", head)
        self._body = reader.body(head) if framed else iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        with suppress(OSError):
            self._begin()
        self._connection.close()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")

    def recv(self, size: int, /) -> bytes:
        data = self._rest or next(self._body, b"")
        self._rest = data[size:]
        return data[:size]

    def sendall(self, data: bytes, /) -> None:
        self._begin()
        self._connection.sendall(data)

    def shutdown(self, how: int, /) -> None:
        self._begin()
        self._connection.shutdown(how)

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None:
        self._connection.setsockopt(level, name, value)
