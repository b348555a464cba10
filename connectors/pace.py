"""How often servers call: rarely enough that the console hears all of them, however many there are."""

import math
import time

from django.conf import settings

COUNTED_SECONDS = 20.0
_counted_at: float | None = None
_servers = 0


def interval() -> int:
    """Seconds between two calls of a server: the setting, and more in a large world. No query; see ``refresh``.

    10 s for 1,000 servers, 32 s for 10,000: calls a second grow with the root of the servers. The samples of 10 s are
    all sent whenever a server calls.
    """
    return max(settings.TELEMETRY_INTERVAL, math.ceil(10 * math.sqrt(_servers / 1000)))


def refresh(*, at_once: bool = False) -> None:
    """Count the servers, now and then: called where servers are answered, and where their silence is judged."""
    from connectors.models import Server

    global _counted_at, _servers
    now = time.monotonic()
    if at_once or _counted_at is None or now - _counted_at > COUNTED_SECONDS:
        _counted_at, _servers = now, Server.objects.count()
