"""Accuracy of a bandwidth cap: the demo's last account of an area, one flow and four, both directions."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from rich.table import Table

from bench.register import HOST, PORT
from bench.traffic import DOWNLOAD, GREETING, Sink
from tests.demo import Demo, Tunnel, read_exactly

CAP_KBPS = 2_000  # the cap that demo/world.py gives the last account of each instance
WARM_UP_SECONDS = 3.0  # in the beginning, a bucket lets through what it held
FLOWS = (1, 4)
UPLOAD = b"u"
QUIET_SECONDS = 60
CAP_TOLERANCE = 0.15


class _Flows:
    """Flows of the capped account to the sink, each driven by a thread until the end of the block."""

    def __init__(self, demo: Demo, direction: bytes, count: int) -> None:
        self._direction, self._cells = direction, [[0] for _ in range(count)]
        self._tunnels = [self._open(demo) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._run, args=(tunnel.socket, cell), daemon=True)
            for tunnel, cell in zip(self._tunnels, self._cells, strict=True)
        ]

    @staticmethod
    def _open(demo: Demo) -> Tunnel:
        account = demo.capped_account()
        tunnel = demo.connect(HOST, PORT, account=account)
        if tunnel.status != 200 or read_exactly(tunnel.socket, 1) != GREETING:
            raise RuntimeError(f"a flow of {account['username']} does not reach the sink ({tunnel.status})")
        tunnel.socket.settimeout(None)
        return tunnel

    def _run(self, stream: socket.socket, cell: list[int]) -> None:
        with suppress(OSError, ValueError):  # ValueError: read after another thread's shutdown
            stream.sendall(self._direction)
            while self._direction != DOWNLOAD:
                stream.sendall(bytes(16384))
            while data := stream.recv(65536):
                cell[0] += len(data)

    def received(self) -> int:
        return sum(cell[0] for cell in self._cells)

    def __enter__(self) -> _Flows:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        """Shut sockets down before closing: a socket closed under its thread would hand its number to the next one."""
        for tunnel, thread in zip(self._tunnels, self._threads, strict=True):
            with suppress(OSError):
                tunnel.socket.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            tunnel.close()


def _upload(demo: Demo, sink: Sink, count: int, seconds: float) -> float:
    with _Flows(demo, UPLOAD, count):
        time.sleep(WARM_UP_SECONDS)
        first, began = sink.count()
        time.sleep(seconds)
        last, ended = sink.count()
    return (last - first) * 8 / 1000 / (ended - began)


def _download(demo: Demo, count: int, seconds: float) -> float:
    with _Flows(demo, DOWNLOAD, count) as flows:
        time.sleep(WARM_UP_SECONDS)
        first, began = flows.received(), time.monotonic()
        time.sleep(seconds)
        last, ended = flows.received(), time.monotonic()
    return (last - first) * 8 / 1000 / (ended - began)


def measure_cap(demo: Demo, sink: Sink, seconds: float) -> dict[tuple[str, int], float]:
    """Return kbit/s by direction and number of flows."""
    measured: dict[tuple[str, int], float] = {}
    with demo.quiet():
        for count in FLOWS:
            measured["download", count] = _download(demo, count, seconds)
        for count in FLOWS:
            measured["upload", count] = _upload(demo, sink, count, seconds)
            _until_quiet(sink)  # bytes of the upload in the gateway's buffers still arrive
    return measured


def _until_quiet(sink: Sink) -> None:
    before, _ = sink.count()
    for _ in range(QUIET_SECONDS):
        time.sleep(1)
        now, _ = sink.count()
        if now == before:
            return
        before = now


def cap_table(demo: Demo, sink: Sink, seconds: float) -> Table:
    title = f"An account with a cap of {CAP_KBPS:,} kbit/s"
    table = Table("direction", "flows", "kbit/s", "of the cap", "wanted", title=title)
    for (direction, flows), rate in measure_cap(demo, sink, seconds).items():
        share = rate / CAP_KBPS
        missed = "" if abs(share - 1) <= CAP_TOLERANCE else "  missed"
        wanted = f"{1 - CAP_TOLERANCE:.2f}–{1 + CAP_TOLERANCE:.2f}{missed}"
        table.add_row(direction, str(flows), f"{rate:,.0f}", f"{share:.2f}", wanted)
    return table
