"""How exactly an account is held to its cap: the demo's last account of an area, one flow and four, both directions."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import Any

from bench.register import HOST, PORT
from bench.traffic import GREETING, Sink
from tests.demo import Demo, Tunnel, read_exactly

CAP_KBPS = 2_000  # what demo/world.py gives the last account of each instance
WARM_UP_SECONDS = 3.0  # a bucket lets through in the beginning what it held
FLOWS = (1, 4)


class _Reader:
    """Counts what flows bring back."""

    def __init__(self) -> None:
        self.cells: list[list[int]] = []

    def follow(self, stream: socket.socket) -> None:
        cell = [0]
        self.cells.append(cell)
        threading.Thread(target=self._read, args=(stream, cell), daemon=True).start()

    @staticmethod
    def _read(stream: socket.socket, cell: list[int]) -> None:
        with suppress(OSError):
            while data := stream.recv(65536):
                cell[0] += len(data)

    def total(self) -> int:
        return sum(cell[0] for cell in self.cells)


def _send(stream: socket.socket) -> None:
    def run() -> None:
        with suppress(OSError):
            while True:
                stream.sendall(bytes(16384))

    threading.Thread(target=run, daemon=True).start()


def _capped(demo: Demo) -> dict[str, Any]:
    instance = demo.account()["instance"]
    return next(a for a in reversed(demo.world["accounts"]) if a["instance"] == instance)


def _open(demo: Demo, stack: ExitStack, host: str, port: int, count: int) -> list[Tunnel]:
    account, tunnels = _capped(demo), []
    for _ in range(count):
        tunnel = demo.connect(host, port, account=account)
        stack.callback(tunnel.close)
        if tunnel.status != 200:
            raise RuntimeError(f"a flow of {account['username']} was answered with {tunnel.status}")
        tunnel.socket.settimeout(None)
        tunnels.append(tunnel)
    return tunnels


def _upload(demo: Demo, sink: Sink, count: int, seconds: float) -> float:
    with ExitStack() as stack:
        for tunnel in _open(demo, stack, HOST, PORT, count):
            if read_exactly(tunnel.socket, 1) != GREETING:
                raise RuntimeError("the sink did not answer")
            _send(tunnel.socket)
        time.sleep(WARM_UP_SECONDS)
        first, began = sink.count()
        time.sleep(seconds)
        last, ended = sink.count()
    return (last - first) * 8 / 1000 / (ended - began)


def _download(demo: Demo, count: int, seconds: float) -> float:
    """From ``echo``: each direction has a bucket of its own, so that what goes up is no less than what comes back."""
    echo, reader = demo.application("echo"), _Reader()
    with ExitStack() as stack:
        for tunnel in _open(demo, stack, echo["host"], echo["port"], count):
            _send(tunnel.socket)
            reader.follow(tunnel.socket)
        time.sleep(WARM_UP_SECONDS)
        first, began = reader.total(), time.monotonic()
        time.sleep(seconds)
        last, ended = reader.total(), time.monotonic()
    return (last - first) * 8 / 1000 / (ended - began)


def measure_cap(demo: Demo, sink: Sink, seconds: float) -> dict[tuple[str, int], float]:
    """kbit/s by direction and number of flows."""
    measured: dict[tuple[str, int], float] = {}
    for count in FLOWS:
        measured["download", count] = _download(demo, count, seconds)
    for count in FLOWS:
        # What an upload leaves in the gateway's buffers still arrives: the last one is not followed by another.
        measured["upload", count] = _upload(demo, sink, count, seconds)
        _until_quiet(sink)
    return measured


def _until_quiet(sink: Sink) -> None:
    before, _ = sink.count()
    while True:
        time.sleep(1)
        now, _ = sink.count()
        if now == before:
            return
        before = now
