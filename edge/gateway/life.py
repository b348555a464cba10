"""Life of the gateway's Envoy: started by the configuration in force, adopted, started anew, ended."""

import asyncio
import logging

import msgspec

from edge.envoy.gateway import bootstrap
from edge.envoy.parts import secret_files
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.gateway.accesslog import FlowLog
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.gateway.tunnels import TunnelWatch
from edge.home import Home
from edge.protocol.configuration import Gateway

logger = logging.getLogger(__name__)

# An adopted Envoy tells of every open flow within one interval of its access log (2 s).
SETTLE_SECONDS = 3.0


class EnvoyLife:
    """Keeper of a gateway's Envoy. `slots`, `rate`: `slots` and `flows` of `bootstrap`."""

    def __init__(
        self,
        home: Home,
        envoy: EnvoyProcess,
        state: GatewayState,
        flows: Flows,
        log: FlowLog,
        tunnels: TunnelWatch,
        *,
        slots: int,
        rate: int,
    ) -> None:
        self._home, self._envoy, self._state, self._flows = home, envoy, state, flows
        self._log, self._tunnels, self._slots, self._rate = log, tunnels, slots, rate
        self._gateway: Gateway | None = None  # section of the configuration that Envoy runs by
        self._hindrance = ""  # why Envoy does not start
        self._incarnation: str | None = None
        self._settled_at = 0.0

    async def follow(self) -> None:
        """Start Envoy, or start Envoy anew when the gateway's own addresses changed. `retry` tries what fails now."""
        if self._state.snapshot is None:
            return
        # Another key is no reason to start Envoy anew.
        gateway = msgspec.structs.replace(self._state.snapshot.gateway, echo_key="")
        if gateway == self._gateway:
            return
        before = self._recorded()
        self._gateway = None  # until Envoy has started: `retry` tries again
        try:
            for name, data in secret_files(["tunnel", "access"]).items():
                self._home.write_changed(f"envoy/{name}", data)
            await self._envoy.start(bootstrap(gateway, slots=self._slots, flows=self._rate))
        except (EnvoyError, OSError) as error:
            reason = str(error) if isinstance(error, EnvoyError) else f"{error.strerror or error}."
            if reason != self._hindrance:
                logger.error("Envoy does not start: %s", reason)
            self._hindrance = reason
            return
        self._hindrance = ""
        self._gateway, self._incarnation = gateway, self._envoy.incarnation
        adopted = before and before == self._recorded()
        self._settled_at = self._state.ticks() + SETTLE_SECONDS if adopted else 0.0
        how = "adopted" if adopted else "started"
        logger.info("Envoy %s, clients at %s:%d", how, gateway.listen, gateway.client_port)
        await self._tunnels.refresh()

    async def retry(self) -> None:
        """Try again what `follow` could not do."""
        if self._gateway is None:
            await self.follow()

    async def stop(self) -> None:
        """End Envoy, and with Envoy all flows."""
        await self._envoy.stop()
        self._gateway = None
        for flow in self._flows:
            self._log.end(flow)

    async def restart(self) -> None:
        """End all flows, orphans too: clients and servers dial again."""
        await self.stop()
        self._settled_at = 0.0
        await self.follow()

    async def settled(self) -> bool:
        """Return once all flows that were open when this agent started are known; True when that took a wait."""
        waited = False
        while (left := self._settled_at - self._state.ticks()) > 0:
            waited = True
            await asyncio.sleep(left)
        return waited

    def end_lost(self) -> None:
        """Write the last records of flows whose end was not logged, because Envoy died."""
        lost = self._flows.lost()
        if self._envoy.incarnation != self._incarnation:
            self._incarnation = self._envoy.incarnation
            lost = [flow for flow in self._flows if flow.stream is None]
        for flow in lost:
            self._log.end(flow)

    def _recorded(self) -> bytes:
        try:
            return self._home.file("envoy/envoy.pid").read_bytes()
        except OSError:
            return b""
