"""Cutting: which open flows may not go on, and how they are ended.

`stands` and `plan` judge by what is in force and touch nothing. `Cutter` carries plans out.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from edge.access.decision import CONNECTOR, decide
from edge.access.snapshot import Snapshot, Tunnels
from edge.gateway.flow import Flow
from edge.gateway.state import GatewayState
from edge.protocol.identity import SessionIdentity

logger = logging.getLogger(__name__)

CUT_SECONDS = 2.0  # limit for Envoy to end a stream after a cut; Envoy takes milliseconds
LOGGED_SECONDS = 1.0  # limit for a flow's end to be logged; the log takes about 0.1 s

# The newest known identity of a session, whose expiry moves when the session is renewed.
Latest = Callable[[SessionIdentity], SessionIdentity]
Restart = Callable[[], Awaitable[None]]


def stands(flow: Flow, identity: SessionIdentity, state: GatewayState) -> bool:
    """Tell whether a flow would still be let in by the same way. `identity`: the newest one of the flow's session.

    The connectors are those that were online when the flow began: another connector of a policy that came back
    meanwhile is no reason to break a flow that works.
    """
    snapshot = state.snapshot
    if snapshot is None:
        return False
    online = flow.online if flow.online is not None else snapshot.online | {flow.connector or ""}
    decision = decide(identity, flow.destination, state.view(online), now=state.clock())
    if not decision.allowed or (decision.path, decision.connector) != (flow.path, flow.connector):
        return False
    # A flow keeps its bucket from the beginning: with a bucket too wide for the cap of now, the flow cannot go on.
    cap = state.cap(identity)
    if cap is not None and (flow.cap is None or flow.cap > cap):
        return False
    return flow.path != CONNECTOR or _server_stands(flow, snapshot, state.tunnels)


def _server_stands(flow: Flow, snapshot: Snapshot, tunnels: Tunnels) -> bool:
    connector = flow.connector or ""
    if flow.server is not None:
        return snapshot.server_allowed(flow.server, connector)
    # The flow's server is not known yet (the log tells a moment after the beginning): the flow stands
    # unless some server with a tunnel may not carry flows.
    live = (server for (owner, server), count in tunnels.items() if owner == connector and count > 0)
    return all(snapshot.server_allowed(server, connector) for server in live)


class Plan(NamedTuple):
    """Open flows to cut, by means: `by_stream` Envoy is told to end; `without_stream` can only be waited for.

    A flow without a stream is ending by itself, and the log will say so in a moment; or the flow is an orphan.
    """

    by_stream: list[Flow]
    without_stream: list[Flow]

    @property
    def gone(self) -> int:
        """Number of flows that were cut and are gone for certain."""
        return sum(flow.cut and flow.closed.is_set() for flows in self for flow in flows)

    @property
    def left(self) -> list[Flow]:
        """Flows that have not ended. Whatever is left once the plan is carried out needs a restart of Envoy."""
        return [flow for flows in self for flow in flows if not flow.closed.is_set()]


def plan(flows: Iterable[Flow], doomed: Callable[[Flow], bool]) -> Plan:
    """Choose the open flows that are doomed, and the means to cut each."""
    made = Plan([], [])
    for flow in flows:
        if not flow.closed.is_set() and doomed(flow):
            (made.without_stream if flow.stream is None else made.by_stream).append(flow)
    return made


class Cutter:
    """Tool that carries plans out, one after the other.

    `restart` ends Envoy, and with Envoy all flows, and starts Envoy anew: the last resort. `count`: how many flows were
    cut since the configuration in force came.
    """

    def __init__(self, state: GatewayState, flows: Iterable[Flow], latest: Latest, restart: Restart) -> None:
        self._state, self._flows, self._latest, self._restart = state, flows, latest, restart
        self._cutting = asyncio.Lock()
        self.count = 0

    async def enforce(self) -> None:
        """Cut the open flows that would not be let in now."""
        await self._cut(lambda flow: not stands(flow, self._latest(flow.identity), self._state))

    async def end_sessions(self) -> None:
        """Cut every flow that is open now: tokens of a key that is gone count no more, whoever they name."""
        old = set(self._flows)
        await self._cut(
            lambda flow: flow in old or not stands(flow, self._latest(flow.identity), self._state)
        )

    async def end_expired(self) -> None:
        """Cut the open flows of sessions that are over."""
        await self._cut(lambda flow: self._latest(flow.identity).expires_at <= self._state.clock())

    async def end_all(self) -> None:
        """Cut all flows one by one, so that Envoy tells how many bytes each of them carried; wait for Envoy's words."""
        _, left = await self._carry_out(plan(self._flows, lambda flow: True))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOGGED_SECONDS):
                while set(self._flows) - set(left):
                    await asyncio.sleep(0.02)

    async def _cut(self, doomed: Callable[[Flow], bool]) -> None:
        async with self._cutting:
            gone, left = await self._carry_out(plan(self._flows, doomed))
            if left:
                self._state.metrics.envoy_restarts_for_cuts += 1
                self._state.metrics.cuts += len(left)
                logger.warning(
                    "Envoy is restarted, which ends all flows: %d flows cannot be cut one by one.",
                    len(left),
                )
                await self._restart()
            self.count += gone + len(left)

    async def _carry_out(self, made: Plan) -> tuple[int, list[Flow]]:
        """End each flow on its own; return how many are gone, and those that are left: orphans, or Envoy was silent."""
        await asyncio.gather(
            *(_end(flow) for flow in made.by_stream),
            *(_ended(flow, LOGGED_SECONDS) for flow in made.without_stream),
        )
        for flow in made.left:
            flow.cut = True
        self._state.metrics.cuts += made.gone
        return made.gone, made.left


async def _end(flow: Flow) -> None:
    await _ended(flow, CUT_SECONDS if await flow.reset() else LOGGED_SECONDS)


async def _ended(flow: Flow, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await flow.closed.wait()
    except TimeoutError:
        if not flow.closed.is_set():
            logger.warning("The flow %s did not end when cut.", flow.id)
