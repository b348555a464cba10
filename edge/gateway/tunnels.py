"""Servers with live tunnels, as Envoy sees them.

Seen with the real process of Envoy 1.40: a gauge (edge.envoy.tunnels) is right about 1 ms after a server's process was
killed, and in the same moment as a tunnel is accepted; a machine that vanishes without a word is noticed by the pings
(2 s apart for an idle tunnel, 5 s + 3 s for one in use). The list is read every ``INTERVAL`` while flows are let in,
else every ``IDLE_INTERVAL``; and at once before a flow that follows such a pause is decided, or one is refused because
a connector seems offline. What a gateway does not yet know costs little: a flow given to a connector whose last tunnel
has just died gets 503 from Envoy itself.

There is a push as well (``access_log`` of the socket interface), but with a gRPC log Envoy 1.40 crashes at its start,
and a file is written with a delay of up to 10 s. After a restart of Envoy the gauges begin at nothing and fill as the
servers dial again, within 10 s.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.envoy.tunnels import arrived_tunnels
from edge.gateway.state import GatewayState

logger = logging.getLogger(__name__)

INTERVAL, IDLE_INTERVAL = 0.25, 1.0
BUSY_SECONDS = 5.0  # seconds after the last decision for which the gateway counts as busy


class TunnelWatch:
    """Watch over the live tunnels; ``on_change`` is called after their list changed."""

    def __init__(self, envoy: EnvoyProcess, state: GatewayState, on_change: Callable[[], None]) -> None:
        self._envoy, self._state, self._on_change = envoy, state, on_change
        self._reading: asyncio.Task[bool] | None = None
        self._used_at = self._read_at = -BUSY_SECONDS

    async def refresh(self) -> bool:
        """Read the list of tunnels now; True when the list changed. Callers at the same time share one reading."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def use(self) -> None:
        """Refresh the list of tunnels before a decision, unless it is about as young as on a busy gateway."""
        self._used_at = time.monotonic()
        # Twice the interval: a busy gateway reads the list in any case, and must not make flows wait for a reading.
        if self._used_at - self._read_at > 2 * INTERVAL:
            await self.refresh()

    async def _read(self) -> bool:
        self._read_at = time.monotonic()
        try:
            tunnels = await arrived_tunnels(self._envoy, timeout=2.0)
        except EnvoyError:
            tunnels = {}  # no Envoy, no tunnels
        if not self._state.set_tunnels(tunnels):
            return False
        logger.info("live tunnels: %s", {server: count for (_, server), count in sorted(tunnels.items())})
        self._on_change()
        return True

    async def watch(self) -> None:
        while True:
            await self.refresh()
            busy = time.monotonic() - self._used_at < BUSY_SECONDS
            await asyncio.sleep(INTERVAL if busy else IDLE_INTERVAL)
