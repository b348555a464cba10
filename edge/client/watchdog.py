"""End of the local Envoy when ``causeway connect`` dies without a word: nobody else's program may use the session then.

``python -m edge.client.watchdog FOLDER`` reads standard input, a pipe that only ``causeway connect`` holds open. The
pipe's end is its end, however it came, on Linux and on macOS. Everything heavy is imported only then.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType


class Watchdog:
    """Watching process for the time of the block, which leaves no folder. The caller stops Envoy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Watchdog:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.client.watchdog", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is not for the watchdog
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._process.communicate()  # closes the pipe


def watch(folder: Path) -> None:
    """Wait for the end of standard input; then end every Envoy that works in the folder, and remove the folder."""
    while sys.stdin.buffer.read(1024):
        pass
    if not folder.exists():
        return
    import asyncio

    from edge.envoy.process import EnvoyProcess

    asyncio.run(EnvoyProcess(folder).end_all())
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
