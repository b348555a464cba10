"""Command ``serve``: the console under granian, by WSGI: Django answered 3 to 10 times as much as by ASGI."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

# Threads: the long poll of every gateway holds one, pages need a few more.
THREADS = 48


def granian_arguments(*, host: str, port: int, workers: int = 1, threads: int = THREADS) -> list[str]:
    """Return the arguments of ``python -m granian`` that serve the console."""
    return [
        "--interface=wsgi",
        f"--host={host}",
        f"--port={port}",
        f"--workers={workers}",
        f"--blocking-threads={threads}",
        # Connections, idle ones included: a world of servers must not be kept waiting at the door.
        "--backlog=4096",
        "--backpressure=8192",
        "--respawn-failed-workers",
        "--workers-kill-timeout=3",
        "--no-ws",
        "console.wsgi:application",
    ]


class Command(BaseCommand):
    help = "Serve the console with granian."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1)
        parser.add_argument("--threads", type=int, default=THREADS)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = granian_arguments(**{key: options[key] for key in ("host", "port", "workers", "threads")})
        # Exec, so that the process a service manager watches is granian itself.
        os.execv(sys.executable, [sys.executable, "-m", "granian", *arguments])  # noqa: S606
