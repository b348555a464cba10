"""Pace of the servers' calls: slow enough that the console hears all servers, however many there are."""

import math
import time

from django.conf import settings

COUNTED_SECONDS = 20.0
_counted_at: float | None = None
_servers = 0


def interval() -> int:
    """Return the seconds between two calls of a server: the setting, or more in a large world. Query nothing.

    10 s for 1,000 servers, 32 s for 10,000: calls a second grow with the root of the servers, which ``refresh`` counts.
    A server samples every 10 s all the same, and sends all samples whenever it calls.
    """
    return max(settings.TELEMETRY_INTERVAL, math.ceil(10 * math.sqrt(_servers / 1000)))


def refresh(*, at_once: bool = False) -> None:
    """Count the servers, if the last count is old: call this before servers are answered or their silence is judged."""
    from connectors.fleet.models.connectors import Server

    global _counted_at, _servers
    now = time.monotonic()
    if at_once or _counted_at is None or now - _counted_at > COUNTED_SECONDS:
        _counted_at, _servers = now, Server.objects.count()
