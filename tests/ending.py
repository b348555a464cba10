"""Ends of the processes that tests start: each is asked to end, and awaited whatever happens."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import AnyStr


@contextmanager
def ended(
    process: subprocess.Popen[AnyStr], number: signal.Signals = signal.SIGTERM, seconds: float = 20
) -> Iterator[subprocess.Popen[AnyStr]]:
    """Give a process, and end it with the block. Raises ``TimeoutExpired`` for a process that had to be killed."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
