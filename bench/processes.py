"""Processes that are started for a measurement and gone after it; free ports; waiting for conditions."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
STOP_SECONDS = 5


def free_ports(count: int) -> list[int]:
    """Return ``count`` ports of 127.0.0.1 on which nobody listens, below the ports that outgoing connections take."""
    found: list[int] = []
    for port in random.sample(range(15000, 32000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("there are not enough free ports between 15000 and 32000")


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Return the first true value of ``condition``. Raises ``TimeoutError`` naming ``what`` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return value


def answers(port: int, greeting: bytes) -> bool:
    """Tell whether a connection to ``port`` is greeted as the sink greets: the chain behind it reaches through."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(len(greeting)) == greeting
    except OSError:
        return False


class Processes:
    """Processes with their output in files of one folder; every process is stopped at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self,
        command: Sequence[str | Path],
        *,
        log: str = "",
        stdout: int | None = None,
        standard_input: str = "",
    ) -> subprocess.Popen[bytes]:
        """Start a process that reads ``standard_input``, once; with ``log``, output goes to that file of the folder."""
        output = (self.folder / log).open("wb") if log else None
        process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=output or stdout, stderr=output
        )
        self._running.append(process)
        if output:
            output.close()
        assert process.stdin is not None
        process.stdin.write(standard_input.encode())
        process.stdin.close()
        return process
