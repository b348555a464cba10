"""Processes that are started for a measurement and gone after it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

STOP_SECONDS = 5


def console_environment(folder: Path, url: str, database: str, **more: str) -> dict[str, str]:
    """Return the environment of a console of a measurement's own, whose files lie in a folder."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
    own = {
        "CAUSEWAY_SECRET_KEY": secrets.token_urlsafe(50),
        "CAUSEWAY_PUBLIC_URL": url,
        "CAUSEWAY_ALLOWED_HOSTS": "127.0.0.1,testserver",
        "CAUSEWAY_STATE_DIR": str(folder),
        "CAUSEWAY_HTTPS_ONLY": "0",
        "CAUSEWAY_DEBUG": "0",
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    return usual | own | more


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
