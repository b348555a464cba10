"""Command lines of granian, by WSGI: Django answered 3 to 10 times as much as by ASGI."""

import sys
from collections.abc import Sequence
from pathlib import Path

from console.front.lanes import LANES, Lane, threads

# Milliseconds for a request's headers. Without the front granian has no deadline for bodies: a proxy must have one.
HEADERS_MS = 10_000


def alone(*, host: str, port: int, workers: int = 1) -> list[str]:
    """Return the arguments of ``python -m granian`` that serve all lanes in one process, without a front."""
    # Connections, idle ones included: a world of servers must not be kept waiting at the door.
    listens = (f"--host={host}", f"--port={port}", "--backlog=4096", "--backpressure=8192")
    deadlines = (
        f"--http1-header-read-timeout={HEADERS_MS}",
        "--http2-keep-alive-interval=30000",
        "--http2-keep-alive-timeout=10",
    )
    return _arguments([*listens, *deadlines], LANES, workers)


def behind_front(socket: Path, lanes: Sequence[Lane], *, workers: int = 1) -> list[str]:
    """Return the command that serves some lanes to the front, on a unix socket in a private folder."""
    listens = [f"--uds={socket}", "--http=1", "--backpressure=1024", "--log-level=error"]
    return [sys.executable, "-m", "granian", *_arguments(listens, lanes, workers)]


def _arguments(own: Sequence[str], lanes: Sequence[Lane], workers: int) -> list[str]:
    return [
        "--interface=wsgi",
        *own,
        f"--workers={workers}",
        f"--blocking-threads={threads(lanes)}",
        "--respawn-failed-workers",
        "--workers-kill-timeout=3",
        "--no-ws",
        "console.wsgi:application",
    ]
