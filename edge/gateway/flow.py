"""One open flow: who it belongs to, the way it takes, how many bytes it carried."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from edge.access.decision import Decision, Destination
from edge.access.hosts import parse_host
from edge.envoy.agent import FLOW_METADATA
from edge.gateway.state import GatewayState
from edge.protocol.identity import SessionIdentity

FLOW_KEY = FLOW_METADATA  # the one metadata field: the flow as JSON
CUT = pb.ProcessingResponse(immediate_response=pb.ImmediateResponse(details="cut"))
CUT.immediate_response.status.code = 403


@dataclass(slots=True, eq=False)
class Flow:
    """One connection of a session to a destination, or one plain HTTP request. Times in epoch seconds.

    ``ticks``: when it was let in or last heard of, by the clock that never jumps (``GatewayState.ticks``).
    """

    id: str
    identity: SessionIdentity
    destination: Destination
    path: str
    connector: str | None
    application: str | None
    policy: str | None
    started_at: float
    cap: int | None = None  # kbit/s of the bucket it takes part in
    online: frozenset[str] | None = None  # the connectors online when it was let in; unknown for an orphan
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
            flow, identity, destination, decision.path or "", decision.connector, decision.application,
            decision.policy, now, cap, online=state.current.online, seen_at=now, ticks=state.ticks(),
        )  # fmt: skip

    def seen(self, state: GatewayState) -> None:
        """Something was heard of it."""
        self.seen_at, self.ticks = state.clock(), state.ticks()

    def dump(self) -> str:
        """What Envoy keeps with the flow, enough for an agent that never met it."""
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

    def record(self, *, ended_at: float | None = None) -> dict[str, Any]:
        """The FlowRecord of docs/architecture.md; cumulative. ``time`` is when the bytes were last counted."""
        end = None if ended_at is None else "cut" if self.cut else "closed"
        return {
            "flow": self.id, "session": self.identity.session, "account": self.identity.account,
            "instance": self.identity.instance, "host": self.destination.host.text, "port": self.destination.port,
            "application": self.application, "policy": self.policy, "connector": self.connector, "path": self.path,
            "started_at": self.started_at, "ended_at": ended_at, "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down, "end": end, "time": max(self.seen_at, self.started_at),
        }  # fmt: skip

    async def reset(self) -> bool:
        """Have Envoy end the flow; False when the flow's stream is gone, maybe in this very moment."""
        if self.stream is None:
            return False
        self.cut = True
        try:
            await self.stream.write(CUT)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            # What ended the stream was not this cut.
            self.cut = self.closed.is_set()
            return False
        return True
