"""Open flows: whose each flow is, how many bytes it carried, and the means to cut it.

For every flow Envoy holds an ext_proc stream open to the agent. An ``ImmediateResponse`` sent on it at any moment
resets the flow, and that Envoy then ends the stream is the proof that the flow is gone.

A flow that was open when an agent died has no stream any more: Envoy opens one at a flow's beginning only. The next
agent learns of such an *orphan* by the access log, which tells of each open flow every 2 s. Envoy knows no way to end
one single stream from outside; so when an orphan must be cut, the caller restarts Envoy, which cuts everything.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

from edge.access.decision import CONNECTOR, Decision, Destination, decide
from edge.access.hosts import parse_host
from edge.access.snapshot import Snapshot
from edge.envoy.agent import FLOW_METADATA, METADATA
from edge.gateway.state import GatewayState
from edge.protocol.identity import SessionIdentity
from edge.protocol.reports import FlowPath, FlowRecord

logger = logging.getLogger(__name__)

FLOW_KEY = FLOW_METADATA  # the one metadata field that Envoy keeps with a flow: the flow as JSON
CUT_SECONDS = 2.0  # how long Envoy may take to end a stream after a cut; Envoy takes milliseconds
LOGGED_SECONDS = 1.0  # how long a flow's end may take to be logged; it takes about 0.1 s
ADMITTED_SECONDS = 30.0  # by then Envoy has opened a flow that was let in, or never will
LOST_SECONDS = 8.0  # without a word in the access log for four intervals a flow is gone

_CONTINUE = pb.ProcessingResponse(request_headers=pb.HeadersResponse())


def _immediate_response(code: int) -> pb.ProcessingResponse:
    reply = pb.ProcessingResponse(immediate_response=pb.ImmediateResponse(details="cut"))
    reply.immediate_response.status.code = code
    return reply


_CUT = _immediate_response(403)


@dataclass(slots=True, eq=False)
class Flow:
    """Connection of a session to a destination, or one plain HTTP request. Times are in epoch seconds.

    ``ticks``: when the flow was let in or last heard of, by the clock that never jumps (``GatewayState.ticks``).
    """

    id: str
    identity: SessionIdentity
    destination: Destination
    path: FlowPath
    connector: str | None
    application: str | None
    policy: str | None
    started_at: float
    cap: int | None = None  # kbit/s of the bucket that the flow shares
    online: frozenset[str] | None = None  # connectors online when the flow was let in; unknown for an orphan
    server: str | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    seen_at: float = 0.0
    ticks: float = 0.0
    cut: bool = False
    recorded: bool = False
    stream: Any = field(default=None, repr=False)
    closed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @classmethod
    def allowed(
        cls,
        flow: str,
        identity: SessionIdentity,
        destination: Destination,
        decision: Decision,
        state: GatewayState,
        *,
        cap: int | None = None,
    ) -> Flow:
        now = state.clock()
        return cls(
            flow, identity, destination, decision.path or CONNECTOR, decision.connector, decision.application,
            decision.policy, now, cap, online=state.current.online, seen_at=now, ticks=state.ticks(),
        )  # fmt: skip

    def seen(self, state: GatewayState) -> None:
        """Note that the flow was heard of just now."""
        self.seen_at, self.ticks = state.clock(), state.ticks()

    def dump(self) -> str:
        """Return the JSON that Envoy keeps with the flow, enough for a later agent to know the flow by."""
        who = self.identity
        return json.dumps(
            [
                self.id, who.session, who.account, who.instance, who.username, who.client_ip, who.expires_at,
                who.bandwidth_kbps, self.destination.host.text, self.destination.port, self.path, self.connector,
                self.application, self.policy, self.started_at, self.cap,
            ]
        )  # fmt: skip

    @classmethod
    def load(cls, text: str) -> Flow:
        flow, *who, host, port, path, connector, application, policy, started, cap = json.loads(text)
        destination = Destination(parse_host(host), port)
        identity = SessionIdentity(*who)
        return cls(flow, identity, destination, path, connector, application, policy, started, cap)

    def record(self, *, ended_at: float | None = None) -> FlowRecord:
        """Make the flow's record for the console; cumulative."""
        return FlowRecord(
            flow=self.id, session=self.identity.session, account=self.identity.account,
            instance=self.identity.instance, host=self.destination.host.text, port=self.destination.port,
            application=self.application, policy=self.policy, connector=self.connector, path=self.path,
            started_at=self.started_at, ended_at=ended_at, bytes_up=self.bytes_up, bytes_down=self.bytes_down,
            end=None if ended_at is None else "cut" if self.cut else "closed", time=self.told_at,
        )  # fmt: skip

    @property
    def told_at(self) -> float:
        """Moment at which the bytes were last counted, never before the flow's beginning."""
        return max(self.seen_at, self.started_at)


class Flows(rpc.ExternalProcessorServicer):
    """Registry of the open flows, and the ext_proc service through which flows enter the registry.

    ``latest`` gives the newest known identity of a session (a renewal moves the expiry).
    """

    def __init__(
        self,
        state: GatewayState,
        *,
        latest: Callable[[SessionIdentity], SessionIdentity] = lambda identity: identity,
    ) -> None:
        self._state = state
        self._latest = latest
        self._open: dict[str, Flow] = {}
        self._admitted: dict[str, Flow] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Flow]:
        return iter(list(self._open.values()))

    def accounts(self) -> set[str]:
        """Return the accounts that have flows, open or about to open."""
        since = self._state.ticks() - ADMITTED_SECONDS
        admitted = (flow for flow in self._admitted.values() if flow.ticks > since)
        return {flow.identity.account for flow in (*self._open.values(), *admitted)}

    def admit(self, flow: Flow) -> None:
        """Note a flow that was let in; Envoy's stream for it follows at once, unless the client is already gone."""
        if len(self._admitted) > 10_000:
            since = self._state.ticks() - ADMITTED_SECONDS
            self._admitted = {key: each for key, each in self._admitted.items() if each.ticks > since}
        self._admitted[flow.id] = flow

    def adopt(self, text: str) -> Flow:
        """Return the open flow that Envoy's note is about; an unknown flow is an orphan of an earlier agent."""
        flow = Flow.load(text)
        known = self._admitted.pop(flow.id, None) or self._open.get(flow.id) or flow
        self._open[flow.id] = known
        return known

    def forget(self, flow: Flow) -> None:
        """Drop a flow whose end was logged."""
        self._open.pop(flow.id, None)
        flow.closed.set()
        self._ended[flow.id] = None
        if len(self._ended) > 10_000:
            self._ended.popitem(last=False)

    async def Process(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        """Serve one flow's stream: answer once, then hold the stream until the flow ends or is cut."""
        message = await context.read()
        text = _flow_text(message)
        if text is None:  # a refused request, or another filter's message: no flow to hold
            if message is not grpc.aio.EOF:
                await context.write(_CONTINUE)
            return
        flow = self.adopt(text)
        # Under load, the log of a very short flow may arrive before the flow's stream is served.
        if flow.id in self._ended:
            self._open.pop(flow.id)
            return
        flow.stream = context
        flow.seen(self._state)
        try:
            # Between the decision and this moment the configuration may have changed: without this second look a flow
            # could slip between the list of open flows and the cut.
            if not self.stands(flow):
                flow.cut = True
                self._state.metrics.cuts += 1
                await context.write(_CUT)
                return
            await context.write(_CONTINUE)
            while await context.read() is not grpc.aio.EOF:
                pass
        finally:
            flow.stream = None
            # Without a cut the end of the stream proves nothing: when the agent was too slow with its first answer,
            # Envoy gives the stream up and lets the flow go on. Then only the log tells when the flow is over.
            if flow.cut:
                flow.closed.set()
            flow.seen(self._state)

    def stands(self, flow: Flow) -> bool:
        """Tell whether a flow would still be let in by the same way.

        The connectors are those that were online when the flow began: another connector of a policy that came back
        meanwhile is no reason to break a flow that works.
        """
        snapshot = self._state.snapshot
        if snapshot is None:
            return False
        online = flow.online if flow.online is not None else snapshot.online | {flow.connector or ""}
        view = self._state.view(online)
        decision = self._decide(flow, view)
        if not decision.allowed or (decision.path, decision.connector) != (flow.path, flow.connector):
            return False
        return self._cap_stands(flow) and (flow.path != CONNECTOR or self._server_stands(flow, snapshot))

    def _cap_stands(self, flow: Flow) -> bool:
        """Tell whether a flow keeps to its cap: its bucket, which it cannot leave, must not be wider than the cap."""
        cap = self._state.cap(self._latest(flow.identity))
        return cap is None or (flow.cap is not None and flow.cap <= cap)

    def _decide(self, flow: Flow, view: Snapshot) -> Decision:
        return decide(self._latest(flow.identity), flow.destination, view, now=self._state.clock())

    def _server_stands(self, flow: Flow, snapshot: Snapshot) -> bool:
        connector = flow.connector or ""
        if flow.server is not None:
            return snapshot.server_allowed(flow.server, connector)
        # Which server carries the flow is not known yet (the log tells a moment after the beginning): the flow stands
        # unless some server with a tunnel may not carry flows.
        live = (s for (c, s), count in self._state.tunnels.items() if c == connector and count > 0)
        return all(snapshot.server_allowed(server, connector) for server in live)

    async def cut(self, predicate: Callable[[Flow], bool]) -> tuple[int, list[Flow]]:
        """Cut the open flows of which ``predicate`` is true.

        Returns how many flows are gone for certain, and those that could not be cut (orphans, or Envoy did not react).
        """
        doomed = [flow for flow in self._open.values() if not flow.closed.is_set() and predicate(flow)]
        await asyncio.gather(*(self._end(flow) for flow in doomed))
        left = [flow for flow in doomed if not flow.closed.is_set()]
        gone = sum(flow.cut for flow in doomed) - sum(flow.cut for flow in left)
        for flow in left:
            flow.cut = True
        self._state.metrics.cuts += gone
        return gone, left

    async def _end(self, flow: Flow) -> None:
        # A flow without a stream either ends by itself, and the log says so in a moment, or is an orphan.
        patience = CUT_SECONDS if await self._tell(flow) else LOGGED_SECONDS
        try:
            await asyncio.wait_for(flow.closed.wait(), patience)
        except TimeoutError:
            if not flow.closed.is_set():
                logger.warning("flow %s did not end when cut", flow.id)

    async def _tell(self, flow: Flow) -> bool:
        """Have Envoy end a flow; False when its stream is gone, maybe in this very moment."""
        if flow.stream is None:
            return False
        flow.cut = True
        try:
            await flow.stream.write(_CUT)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            # The stream ended before this cut reached it: only a flow that is closed by now keeps the mark.
            flow.cut = flow.closed.is_set()
            return False
        return True

    def lost(self) -> list[Flow]:
        """Return the flows not heard of for ``LOST_SECONDS``: Envoy died before it logged their end."""
        limit = self._state.ticks() - LOST_SECONDS
        return [flow for flow in self._open.values() if flow.stream is None and flow.ticks < limit]


def _flow_text(message: Any) -> str | None:
    if message is grpc.aio.EOF or message.WhichOneof("request") != "request_headers":
        return None
    fields = message.metadata_context.filter_metadata[METADATA].fields
    return fields[FLOW_KEY].string_value if FLOW_KEY in fields else None
