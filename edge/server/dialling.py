"""Redialling: a gateway that lost tunnels is dialled anew as soon as its port answers.

Envoy's own initiator looks after its tunnels every 10 s, and after failures waits longer. But a new listener dials at
once. So each gateway has numbered lines, each of them one listener with tunnels of its own; when a gateway has fewer
tunnels than wanted, and its port answers, it gets a new line. A line with a living tunnel is never taken away.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.envoy.server import TUNNELS_PER_GATEWAY, Line, write_configuration
from edge.envoy.tunnels import line_tunnels
from edge.home import Home
from edge.machine.reach import gateway_problem
from edge.protocol.configuration import ServerConfiguration

logger = logging.getLogger(__name__)

FILE = "envoy/dialling.json"
LOOK_SECONDS = 0.6
# Looks that must agree on a loss: one lost tunnel among several may be Envoy changing its mind.
GRACE_SECONDS = 0.4
# Seconds for a line to get its tunnels, doubled each time for far gateways and those that refuse us.
PATIENCE_SECONDS = (2.0, 10.0)
# Seconds between two probes of a silent port. Of thousands of servers each asks at its own pace.
PAUSE_SECONDS = (0.1, 1.0)
LONG_AWAY_PROBES, LONG_AWAY_SECONDS = 300, 5.0
MOST_LINES = 2


@dataclass
class _Gateway:
    """Gateway and its lines; lines to a former address of the gateway count for nothing, but may live on."""

    id: str
    host: str
    port: int
    lines: list[Line]
    patience: float = PATIENCE_SECONDS[0]
    patient_until: float = 0.0
    lost_at: float | None = None
    redialling: asyncio.Task[None] | None = None
    tunnels: int = 0

    def current(self) -> list[Line]:
        return [line for line in self.lines if (line.host, line.port) == (self.host, self.port)]

    def next_line(self) -> Line:
        number = max((line.number for line in self.lines), default=-1) + 1
        return Line(self.id, number, self.host, self.port)

    def give_up_redialling(self) -> None:
        if self.redialling is not None:
            self.redialling.cancel()
        self.redialling = None


@dataclass
class Dialler:
    """Writer of Envoy's configuration files, and watch over the tunnels. `workers`: Envoy's ``--concurrency``."""

    home: Home
    envoy: EnvoyProcess
    workers: int
    clock: Callable[[], float] = time.monotonic
    _gateways: dict[str, _Gateway] = field(default_factory=dict)
    _configuration: ServerConfiguration | None = None
    _incarnation: str | None = None

    @property
    def wanted(self) -> int:
        """Number of tunnels that a gateway should have: every worker of Envoy dials its own."""
        return TUNNELS_PER_GATEWAY * self.workers

    @property
    def tunnels(self) -> dict[str, int]:
        """Map of gateway id → living tunnels, at the last look."""
        return {gateway.id: gateway.tunnels for gateway in self._gateways.values()}

    def follow(self, configuration: ServerConfiguration) -> None:
        """Write Envoy's files for a configuration."""
        known = {gateway.id: gateway.lines for gateway in self._gateways.values()} or self._remembered()
        wanted = {each.id: (each.host, each.port) for each in configuration.gateways}
        for name in [name for name in self._gateways if name not in wanted]:
            self._gateways.pop(name).give_up_redialling()
        for name, (host, port) in wanted.items():
            gateway = self._gateways.get(name)
            if gateway is None:
                gateway = self._gateways[name] = _Gateway(name, host, port, known.get(name, []))
            elif (gateway.host, gateway.port) != (host, port):
                gateway.host, gateway.port = host, port
                gateway.patience, gateway.patient_until = PATIENCE_SECONDS[0], 0.0
                gateway.give_up_redialling()
            if not gateway.lines:
                gateway.lines = [gateway.next_line()]
                self._be_patient(gateway)
        self._configuration = configuration
        self._write()

    async def watch(self) -> None:
        """Look after the tunnels until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
        finally:
            for gateway in self._gateways.values():
                gateway.give_up_redialling()

    async def look(self) -> None:
        """Count the tunnels once; begin to redial where tunnels are missing."""
        try:
            active = await self._active()
        except EnvoyError:
            for gateway in self._gateways.values():
                gateway.tunnels = 0
            return
        fresh, self._incarnation = self._incarnation != self.envoy.incarnation, self.envoy.incarnation
        for gateway in list(self._gateways.values()):
            if fresh:
                self._be_patient(gateway)
            self._judge(gateway, active)

    def _judge(self, gateway: _Gateway, active: dict[str, int]) -> None:
        gateway.tunnels = _alive(gateway, active)
        now = self.clock()
        if gateway.tunnels >= self.wanted:
            gateway.patience, gateway.patient_until, gateway.lost_at = PATIENCE_SECONDS[0], 0.0, None
            gateway.give_up_redialling()
        elif gateway.redialling is not None and not gateway.redialling.done():
            return
        elif now >= gateway.patient_until:
            gateway.lost_at = now if gateway.lost_at is None else gateway.lost_at
            if now - gateway.lost_at >= GRACE_SECONDS:
                gateway.redialling = asyncio.create_task(self._redial(gateway))

    async def _redial(self, gateway: _Gateway) -> None:
        """Wait until the gateway's port answers; then give the gateway a new line in place of dead lines."""
        logger.info(
            "The gateway %s has %d of %d tunnels; redialling.", gateway.id, gateway.tunnels, self.wanted
        )
        shortest, longest = PAUSE_SECONDS
        pause, probes = shortest, 0
        told = ""
        while (problem := await gateway_problem(gateway.host, gateway.port)) is not None:
            if problem not in ("", told):
                logger.warning("The gateway %s cannot be reached: %s", gateway.id, problem)
                told = problem
            probes += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 1.5, longest if probes < LONG_AWAY_PROBES else LONG_AWAY_SECONDS)
        try:
            # Count right before the change: Envoy's own timer may have been quicker.
            self._give_new_line(gateway, await self._active())
        except (EnvoyError, OSError) as error:
            logger.warning("The gateway %s cannot be redialled now: %s", gateway.id, error)
        self._be_patient(gateway)
        gateway.patience = min(gateway.patience * 2, PATIENCE_SECONDS[1])

    def _give_new_line(self, gateway: _Gateway, active: dict[str, int]) -> None:
        living = [line for line in gateway.lines if active.get(line.name)]
        if _alive(gateway, active) < self.wanted and len(living) < MOST_LINES:
            gateway.lines = [*living, gateway.next_line()]
            self._write()

    def _be_patient(self, gateway: _Gateway) -> None:
        gateway.patient_until, gateway.lost_at = self.clock() + gateway.patience, None

    def _write(self) -> None:
        if self._configuration is not None:
            lines = [line for gateway in self._gateways.values() for line in gateway.lines]
            # First write what a next agent must know, so that no living line is taken away.
            self.home.write_changed_json(FILE, {"lines": [asdict(line) for line in lines]})
            write_configuration(self.home, self._configuration, lines)

    def _remembered(self) -> dict[str, list[Line]]:
        """Return the lines of an Envoy that may have outlived an earlier agent."""
        found: dict[str, list[Line]] = {}
        with contextlib.suppress(KeyError, TypeError):
            for each in (self.home.read_json(FILE) or {})["lines"]:
                line = Line(**each)
                found.setdefault(line.gateway, []).append(line)
        return found

    async def _active(self) -> dict[str, int]:
        return await line_tunnels(self.envoy)


def _alive(gateway: _Gateway, active: dict[str, int]) -> int:
    return sum(active.get(line.name, 0) for line in gateway.current())
