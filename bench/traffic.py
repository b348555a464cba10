"""Sink and source of bytes, fast enough not to be what is measured. Each runs as a process of its own.

    python -m bench.traffic sink
    python -m bench.traffic source HOST PORT STREAMS SECONDS
    python -m bench.traffic reader HOST PORT STREAMS SECONDS

The sink prints the ports of its data and its control socket. Every data connection is greeted with one byte, so that a
connection is known to reach through; a line on the control socket is answered with ``bytes seconds``.
"""

import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress

from bench.processes import Processes

GREETING = b"."
DOWNLOAD = b"d"  # a connection that sends this byte first makes the sink a source
CHUNK = 1 << 20
ZEROS = bytes(65536)
FILE_BYTES = 64 << 20
START_SECONDS = 20
WARM_UP_SECONDS = 1.0


class _Counter:
    """Bytes received so far; each connection counts in a cell of its own, without a lock."""

    def __init__(self) -> None:
        self.cells: list[list[int]] = []

    def total(self) -> int:
        return sum(cell[0] for cell in self.cells)


def _receive(connection: socket.socket, cell: list[int]) -> None:
    buffer = memoryview(bytearray(CHUNK))
    with suppress(OSError), connection:
        connection.sendall(GREETING)
        count = connection.recv_into(buffer)
        while buffer[:1] == DOWNLOAD:
            connection.sendall(ZEROS)
        while count:
            cell[0] += count
            count = connection.recv_into(buffer)


def _answer(connection: socket.socket, counter: _Counter) -> None:
    with connection, connection.makefile("rwb") as stream:
        for _ in stream:
            stream.write(f"{counter.total()} {time.monotonic()}\n".encode())
            stream.flush()


def run_sink() -> None:
    """Serve data and control connections until killed."""
    counter = _Counter()
    data, control = (socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2))
    print(data.getsockname()[1], control.getsockname()[1], flush=True)

    def serve_control() -> None:
        while True:
            connection, _ = control.accept()
            threading.Thread(target=_answer, args=(connection, counter), daemon=True).start()

    threading.Thread(target=serve_control, daemon=True).start()
    while True:
        connection, _ = data.accept()
        cell = [0]
        counter.cells.append(cell)
        threading.Thread(target=_receive, args=(connection, cell), daemon=True).start()


def _send(host: str, port: int, seconds: float, started: threading.Barrier) -> None:
    with (
        socket.create_connection((host, port), timeout=START_SECONDS) as connection,
        tempfile.TemporaryFile() as file,
    ):
        file.write(bytes(FILE_BYTES))
        file.flush()
        if connection.recv(1) != GREETING:
            raise RuntimeError("the sink did not answer")
        connection.settimeout(None)
        if started.wait(START_SECONDS) == 0:
            print("started", flush=True)
        until = time.monotonic() + seconds
        with suppress(OSError):
            while time.monotonic() < until:
                # The file goes in pieces, so that the deadline is noticed; sendfile spares this process the copying.
                offset = 0
                while offset < FILE_BYTES and time.monotonic() < until:
                    offset += connection.sendfile(file, offset, CHUNK)


def run_source(host: str, port: int, streams: int, seconds: float) -> None:
    """Send as fast as possible over so many connections at once; print ``started`` when all reach through."""
    started = threading.Barrier(streams)
    threads = [threading.Thread(target=_send, args=(host, port, seconds, started)) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read(host: str, port: int, cell: list[int], started: threading.Barrier) -> None:
    buffer = bytearray(CHUNK)
    with suppress(OSError), socket.create_connection((host, port), timeout=START_SECONDS) as connection:
        if connection.recv(1) != GREETING:
            raise RuntimeError("the sink did not answer")
        connection.settimeout(None)
        connection.sendall(DOWNLOAD)
        started.wait(START_SECONDS)
        while count := connection.recv_into(buffer):
            cell[0] += count


def run_reader(host: str, port: int, streams: int, seconds: float) -> None:
    """Have the sink send over so many connections at once; print bit/s after a warm-up that is not counted."""
    started, cells = threading.Barrier(streams + 1), [[0] for _ in range(streams)]
    for cell in cells:
        threading.Thread(target=_read, args=(host, port, cell, started), daemon=True).start()
    started.wait(START_SECONDS)
    time.sleep(WARM_UP_SECONDS)
    first, began = sum(cell[0] for cell in cells), time.monotonic()
    time.sleep(seconds)
    last, ended = sum(cell[0] for cell in cells), time.monotonic()
    print((last - first) * 8 / (ended - began), flush=True)


class Sink:
    """Sink in a process of its own. ``port`` takes data."""

    def __init__(self, processes: Processes) -> None:
        process = processes.start([sys.executable, "-m", "bench.traffic", "sink"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        self.port, control = (int(port) for port in process.stdout.readline().split())
        self._control = socket.create_connection(("127.0.0.1", control)).makefile("rwb")

    def count(self) -> tuple[int, float]:
        """Return the bytes received so far, and when (monotonic seconds)."""
        self._control.write(b"?\n")
        self._control.flush()
        count, moment = self._control.readline().split()
        return int(count), float(moment)

    def download_rate(self, processes: Processes, port: int, streams: int, seconds: float) -> float:
        """Return bit/s that the sink's readers get through the chain that begins at ``port``, after a warm-up."""
        command = [sys.executable, "-m", "bench.traffic", "reader", "127.0.0.1", str(port), str(streams)]
        reader = processes.start([*command, str(seconds)], stdout=subprocess.PIPE)
        assert reader.stdout is not None
        with reader.stdout as output:
            rate = float(output.read())
        reader.wait(30)
        return rate

    def rate(self, processes: Processes, port: int, streams: int, seconds: float) -> float:
        """Return bit/s that arrive through the chain that begins at ``port``, after a warm-up that is not counted."""
        command = [sys.executable, "-m", "bench.traffic", "source", "127.0.0.1", str(port), str(streams)]
        source = processes.start([*command, str(WARM_UP_SECONDS + seconds + 0.5)], stdout=subprocess.PIPE)
        assert source.stdout is not None
        if source.stdout.readline() != b"started\n":
            raise RuntimeError(f"the source could not reach the sink through port {port}")
        time.sleep(WARM_UP_SECONDS)
        first, began = self.count()
        time.sleep(seconds)
        last, ended = self.count()
        source.stdout.close()
        source.wait(30)
        return (last - first) * 8 / (ended - began)


if __name__ == "__main__":
    what, *place = sys.argv[1:]
    if what == "sink":
        run_sink()
    else:
        run = run_source if what == "source" else run_reader
        run(place[0], int(place[1]), int(place[2]), float(place[3]))
