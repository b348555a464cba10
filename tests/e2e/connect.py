"""Process of ``causeway connect`` beside the running demo, its events read as a script reads them."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.demo import Demo, clean_environment, wait_until
from tests.ending import ended
from tests.ports import free_port


class Client:
    """Running ``causeway connect --json``. ``events``: the events so far."""

    def __init__(self, process: subprocess.Popen[str], listen: int) -> None:
        self.process, self.listen = process, listen
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.events.append(json.loads(line))

    def event(self, name: str, seconds: float = 30) -> dict[str, Any]:
        """Wait for an event of this name; the first of its kind."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events if event["event"] == name), None)

        return wait_until(found, seconds, what=f"the event {name} after {self.events}")

    def exit_code(self, seconds: float = 20) -> int:
        code = self.process.wait(seconds)
        self.read_to_end()
        return code

    def read_to_end(self) -> None:
        """Wait until all output is read."""
        self._reader.join(5)

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.listen}"


@contextlib.contextmanager
def connected(
    demo: Demo,
    folder: Path,
    *more: str,
    account: dict[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Client]:
    """Connect as the demo's first account (or another), and log off at the end.

    Its password comes from a file unless `more` says otherwise; `environment` is added to its own.
    """
    account = account or demo.account()
    listen = free_port()
    command = [sys.executable, "-m", "edge.cli", "connect", "--json", "--console", demo.console]
    command += ["--instance", account["instance"], "--username", account["username"]]
    command += ["--listen", str(listen), *more]
    if "--keyring" not in more:
        password = folder / "password"
        password.write_text(account["password"] + "\n")
        command += ["--password-file", str(password)]
    with (folder / "connect.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=clean_environment() | {"TMPDIR": str(folder)} | dict(environment or {}),
        )
    client = Client(process, listen)
    try:
        with ended(process, signal.SIGINT):
            yield client
    finally:
        client.read_to_end()
