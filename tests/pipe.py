"""Whether a pipe is byte-exact: an origin, clients by every way, and cells that tell whole from short.

The origin reads one line, ``MODE KEY BYTES RATE``, and does as it says. Bodies are counted numbers, so that a lost,
doubled or moved piece changes their hash.
"""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, Self

from tests.pipe_http import Answer
from tests.quiet import Service

BLOCK = b"".join(struct.pack(">Q", number) for number in range(8192))
PATIENCE = 30.0  # without a byte or an end for so long, a flow hangs
RESET = struct.pack("ii", 1, 0)


class Way(Protocol):
    """A flow to the origin. `receive` gives b"" at a clean end and raises OSError at any other."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes: ...
    def half_close(self) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


@dataclass(frozen=True)
class Seen:
    """What one side received: how much, whether it was the right bytes, and how it ended (``fin`` or an error)."""

    count: int
    right: bool
    end: str


@dataclass(frozen=True)
class Cell:
    """Who ends first and how (`mode`), how many bytes, and how many a second their reader takes (0: all it can)."""

    mode: str
    size: int
    rate: int = 0

    def __str__(self) -> str:
        rate = f" at {self.rate / 1e6:g} MB/s" if self.rate else ""
        return f"{self.mode} {self.size / 1e6:g} MB{rate}"


@dataclass(frozen=True)
class Verdict:
    """``whole``; ``error``: short, and the reader knows; ``short``: a clean end after a loss; ``hang``: no end."""

    word: str
    detail: str


def body(size: int) -> Iterator[bytes]:
    for start in range(0, size, len(BLOCK)):
        yield BLOCK[: min(len(BLOCK), size - start)]


def digest(size: int) -> str:
    found = hashlib.sha256()
    for piece in body(size):
        found.update(piece)
    return found.hexdigest()


def take(receive: Callable[[], bytes], rate: int = 0) -> Seen:
    """Receive to the end, no faster than `rate` bytes a second."""
    count, found, began = 0, hashlib.sha256(), time.monotonic()
    end = "fin"
    try:
        while data := receive():
            count += len(data)
            found.update(data)
            if rate and (ahead := count / rate - (time.monotonic() - began)) > 0:
                time.sleep(ahead)
    except OSError as error:
        end = type(error).__name__
    return Seen(count, found.hexdigest() == digest(count), end)


class Origin(Service):
    """The application. What it saw of a flow is kept under the flow's key."""

    def __init__(self, host: str = "") -> None:
        self._seen: dict[str, Seen] = {}
        self._heard: set[str] = set()
        self._news = threading.Condition()
        super().__init__(host)

    def heard(self, key: str, seconds: float = PATIENCE) -> bool:
        """Wait for the flow's first line."""
        with self._news:
            return self._news.wait_for(lambda: key in self._heard, seconds)

    def seen(self, key: str, seconds: float = PATIENCE) -> Seen:
        """Wait for what the application saw; a flow whose end it never saw hangs."""
        with self._news:
            self._news.wait_for(lambda: key in self._seen, seconds)
            return self._seen.get(key, Seen(0, False, "TimeoutError"))

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            connection.settimeout(PATIENCE)
            line = b""
            while not line.endswith(b"\n"):
                line += (byte := connection.recv(1))
                if not byte:
                    return
            if line.endswith(b" HTTP/1.1\r\n"):
                with Answer(connection) as answer:
                    self._begin(answer, answer.first_line)
            else:
                self._begin(connection, line)

    def _begin(self, connection: socket.socket | Answer, line: bytes) -> None:
        mode, key, size, rate = line.decode().split()
        with self._news:
            self._heard.add(key)
            self._news.notify_all()
        self._act(connection, mode.replace("_", " "), key, int(size), int(rate))

    def _act(self, connection: socket.socket | Answer, mode: str, key: str, size: int, rate: int) -> None:
        def send() -> None:
            with suppress(OSError):
                for piece in body(size):
                    connection.sendall(piece)

        def send_all() -> None:
            send()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)

        def receive() -> None:
            seen = take(lambda: connection.recv(65536), rate)
            with self._news:
                self._seen[key] = seen
                self._news.notify_all()

        if mode == "app closes":
            send()
        elif mode == "app half-closes":
            send_all()
            receive()
        elif mode == "client goes on":
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            receive()
        elif mode == "app resets":
            send()
            time.sleep(0.1)  # what the kernel has not sent is dropped with the reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif mode == "client half-closes":
            receive()
            connection.sendall(f"{self.seen(key).count:10d}".encode())
        elif mode == "both":
            sender = threading.Thread(target=send_all)
            sender.start()
            receive()
            sender.join(PATIENCE)
        else:  # the client closes or resets
            receive()


class Plain:
    """A port that leads to the origin: a forward, or the origin itself."""

    def __init__(self, port: int, *, patience: float = PATIENCE) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.settimeout(patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> bytes:
        return self.socket.recv(65536)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


class Proxied(Plain):
    """HTTP/1.1 CONNECT in the clear, as to the local proxy of ``causeway connect`` or to squid."""

    def __init__(self, port: int, authority: str, *, patience: float = PATIENCE) -> None:
        super().__init__(port, patience=patience)
        with closed_if_refused(self.socket):
            connect(self.socket, authority)


class Stream(Protocol):
    """The part of a socket that asking a proxy needs."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...


def connect(stream: Stream, authority: str, *headers: str) -> None:
    """Ask an HTTP/1.1 proxy for a flow; raise ConnectionError, with the reason, for any answer but 200."""
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *headers, "", ""]
    stream.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            raise ConnectionError(f"no answer but {head!r}")
        head += byte
    if b" 200" not in head.partition(b"\r\n")[0]:
        lines = head.decode().split("\r\n")
        raise ConnectionError("; ".join([lines[0], *(each for each in lines if "x-causeway-" in each)]))


@contextmanager
def closed_if_refused(connection: socket.socket) -> Iterator[None]:
    """Close a connection by which there will be no flow."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


_number = iter(range(1, 1_000_000_000))


def measure(origin: Origin, open_way: Callable[[], Way], cell: Cell) -> Verdict:
    """Carry out one cell on a new flow."""
    key = f"flow-{next(_number)}"
    try:
        way = open_way()
    except OSError as error:
        return Verdict("error", f"no flow: {error}")
    try:
        # Whose reader is slow: the application's when bytes go up, else the client's.
        up = cell.mode in ("client closes", "client goes on", "client half-closes", "client resets")
        mode = cell.mode.replace(" ", "_")
        way.send(f"{mode} {key} {cell.size} {cell.rate if up else 0}\n".encode())
        return _MODES[cell.mode](origin, way, cell, key)
    except OSError as error:
        return Verdict(
            "hang" if isinstance(error, TimeoutError) else "error", f"{type(error).__name__}: {error}"
        )
    finally:
        with suppress(OSError):
            way.close()


def _judge(seen: Seen, size: int) -> Verdict:
    if seen.end == "TimeoutError":
        return Verdict("hang", f"{seen.count:,} of {size:,} bytes, then nothing")
    if seen.end != "fin":
        return Verdict("error", f"{seen.count:,} of {size:,} bytes, {seen.end}")
    if seen.count != size or not seen.right:
        return Verdict("short", f"{seen.count:,} of {size:,} bytes, then a clean end")
    return Verdict("whole", f"{size:,} bytes")


def _judge_reset(seen: Seen) -> Verdict:
    """Of a side that reset its connection, a clean end would say that it had said all."""
    if seen.end == "TimeoutError":
        return Verdict("hang", "no end after a reset")
    return Verdict("short", "a clean end after a reset") if seen.end == "fin" else Verdict("whole", seen.end)


def _worse(*verdicts: Verdict) -> Verdict:
    return max(verdicts, key=lambda each: ("whole", "error", "short", "hang").index(each.word))


def _send_body(way: Way, size: int) -> None:
    for piece in body(size):
        way.send(piece)


def _app_closes(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    return _judge(take(way.receive, cell.rate), cell.size)


def _app_half_closes(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    down = _judge(take(way.receive, cell.rate), cell.size)
    with suppress(OSError):
        _send_body(way, 1000)
        way.close()
    return _worse(down, _judge(origin.seen(key), 1000))


def _app_resets(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    return _judge_reset(take(way.receive, cell.rate))


def _client_closes(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    _send_body(way, cell.size)
    way.close()
    return _judge(origin.seen(key), cell.size)


def _client_goes_on(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    """The application ends its side first; all of the client's bytes come after that."""
    down = _judge(take(way.receive), 0)
    _send_body(way, cell.size)
    way.close()
    return _worse(down, _judge(origin.seen(key), cell.size))


def _client_half_closes(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    _send_body(way, cell.size)
    way.half_close()
    answer = b""
    while data := way.receive():
        answer += data
    word = "whole" if answer == f"{cell.size:10d}".encode() else "short"
    return _worse(Verdict(word, f"answered {answer!r}"), _judge(origin.seen(key), cell.size))


def _client_resets(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    _send_body(way, cell.size)
    if not origin.heard(key):  # what a reset overtakes is lost, the first line too
        return Verdict("hang", "the application never heard the first line")
    way.reset()
    return _judge_reset(origin.seen(key))


def _both(origin: Origin, way: Way, cell: Cell, key: str) -> Verdict:
    def send() -> None:
        with suppress(OSError):
            _send_body(way, cell.size)
            way.half_close()

    sender = threading.Thread(target=send)
    sender.start()
    down = _judge(take(way.receive, cell.rate), cell.size)
    sender.join(PATIENCE)
    way.close()
    return _worse(down, _judge(origin.seen(key), cell.size))


_MODES: dict[str, Callable[[Origin, Way, Cell, str], Verdict]] = {
    "app closes": _app_closes,
    "app half-closes": _app_half_closes,
    "app resets": _app_resets,
    "client closes": _client_closes,
    "client goes on": _client_goes_on,
    "client half-closes": _client_half_closes,
    "client resets": _client_resets,
    "both": _both,
}
