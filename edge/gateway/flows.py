"""Open flows, and the streams by which Envoy is told to end them.

For every flow Envoy holds an ext_proc stream open to the agent. An ``ImmediateResponse`` sent on it at any moment
resets the flow, and that Envoy then ends the stream is the proof that the flow is gone.

A flow that was open when an agent died has no stream any more: Envoy opens one at a flow's beginning only. The next
agent learns of such an *orphan* by the access log, which tells of each open flow every 2 s. Envoy knows no way to end
one single stream from outside; so when an orphan must be cut, Envoy is restarted, which cuts everything.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

from edge.envoy.agent import METADATA
from edge.gateway.cutting import Latest, stands
from edge.gateway.flow import CUT, FLOW_KEY, Flow
from edge.gateway.state import GatewayState

ADMITTED_SECONDS = 30.0  # seconds, by which Envoy has opened a flow that was let in, or never will
LOST_SECONDS = 8.0  # without a word in the access log for four intervals a flow is gone

_CONTINUE = pb.ProcessingResponse(request_headers=pb.HeadersResponse())


class Flows(rpc.ExternalProcessorServicer):
    """Registry of the open flows, and the ext_proc service through which flows enter the registry.

    ``latest`` gives the newest known identity of a session (a renewal moves the expiry).
    """

    def __init__(self, state: GatewayState, *, latest: Latest = lambda identity: identity) -> None:
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
                await context.write(CUT)
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
        """Tell whether a flow would still be let in by the same way."""
        return stands(flow, self._latest(flow.identity), self._state)

    def lost(self) -> list[Flow]:
        """Return the flows not heard of for ``LOST_SECONDS``: Envoy died before it logged their end."""
        limit = self._state.ticks() - LOST_SECONDS
        return [flow for flow in self._open.values() if flow.stream is None and flow.ticks < limit]


def _flow_text(message: Any) -> str | None:
    if message is grpc.aio.EOF or message.WhichOneof("request") != "request_headers":
        return None
    fields = message.metadata_context.filter_metadata[METADATA].fields
    return fields[FLOW_KEY].string_value if FLOW_KEY in fields else None
