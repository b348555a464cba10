"""Open flow: whose the flow is, its way, how many bytes it carried, and the means to cut it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from edge.access.decision import CONNECTOR, Decision, Destination
from edge.access.hosts import parse_host
from edge.envoy.agent import FLOW_METADATA
from edge.gateway.state import GatewayState
from edge.protocol.identity import SessionIdentity
from edge.protocol.reports import FlowPath, FlowRecord

FLOW_KEY = FLOW_METADATA  # the one metadata field that Envoy keeps with a flow: the flow as JSON
CUT = pb.ProcessingResponse(immediate_response=pb.ImmediateResponse(details="cut"))
CUT.immediate_response.status.code = 403


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
            application=self.application, policy=self.policy, connector=self.connector,
            server=self.server if self.connector else None, path=self.path,
            started_at=self.started_at, ended_at=ended_at, bytes_up=self.bytes_up, bytes_down=self.bytes_down,
            end=None if ended_at is None else "cut" if self.cut else "closed", time=self.told_at,
        )  # fmt: skip

    @property
    def told_at(self) -> float:
        """Moment at which the bytes were last counted, never before the flow's beginning."""
        return max(self.seen_at, self.started_at)

    async def reset(self) -> bool:
        """Have Envoy end the flow; False when the flow's stream is gone, maybe in this very moment."""
        if self.stream is None:
            return False
        self.cut = True
        try:
            await self.stream.write(CUT)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            # The stream ended before this cut reached it: only a flow that is closed by now keeps the mark.
            self.cut = self.closed.is_set()
            return False
        return True
