"""Bytes of flows: Envoy's access log, every 2 s while a flow is open and once at its end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2, als_pb2_grpc

from edge.envoy.agent import METADATA, SERVER_TAG
from edge.gateway.flow import FLOW_KEY, Flow
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.machine.spool import Spool

logger = logging.getLogger(__name__)

KIND = "flow"
HOUR = 3600


class FlowLog(als_pb2_grpc.AccessLogServiceServicer):
    """Service that spools log entries as FlowRecords. ``strangers`` is set for a flow that may not go on."""

    def __init__(self, flows: Flows, state: GatewayState, spool: Spool) -> None:
        self._flows, self._state, self._spool = flows, state, spool
        self.strangers = asyncio.Event()

    async def StreamAccessLogs(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        async for message in request_iterator:
            for entry in message.http_logs.log_entry:
                try:
                    self._take(entry)
                except Exception:
                    logger.exception(
                        "An entry of Envoy's access log could not be read; bytes of a flow may be missing."
                    )
        return als_pb2.StreamAccessLogsResponse()

    def _take(self, entry: Any) -> None:
        common = entry.common_properties
        fields = common.metadata.filter_metadata[METADATA].fields
        if FLOW_KEY not in fields:  # a refused request is no flow
            return
        flow = self._flows.adopt(fields[FLOW_KEY].string_value)
        flow.seen(self._state)
        counted = _bytes(entry)
        changed = counted != (flow.bytes_up, flow.bytes_down)
        flow.bytes_up, flow.bytes_down = counted
        flow.server = common.custom_tags.get(SERVER_TAG, "").rpartition(":")[2] or flow.server
        if common.access_log_type == accesslog_pb2.AccessLogType.DownstreamEnd:
            self.end(flow)
            return
        # An idle flow has nothing new to tell, and a flow that has only just begun may be over before the next entry.
        if common.access_log_type == accesslog_pb2.AccessLogType.DownstreamPeriodic and (
            changed or not flow.recorded
        ):
            flow.recorded = True
            self._tell(flow)
        if not flow.cut and not self._flows.stands(flow):
            self.strangers.set()

    def end(self, flow: Flow) -> None:
        """Write a flow's last record."""
        self._flows.forget(flow)
        self._state.metrics.flows_closed += 1
        self._tell(flow, ended_at=self._state.clock())

    def _tell(self, flow: Flow, *, ended_at: float | None = None) -> None:
        """Spool a flow's record: one an hour while the console is away, so that no month gets another month's bytes."""
        record = flow.record(ended_at=ended_at)
        self._spool.put_latest(KIND, f"{flow.id} {flow.told_at // HOUR:.0f}", record.encode())


def _bytes(entry: Any) -> tuple[int, int]:
    """Count bytes up and down: a tunnel's bodies; of a plain request, which may have no body, the headers as well.

    A tunnel that never stood carried nothing: the sentence that tells its client so is no user's byte.
    """
    request, response = entry.request, entry.response
    if not request.path:  # a tunnel, whose method is no longer CONNECT once it stands (edge/envoy/module)
        stood = 200 <= response.response_code.value < 300
        return (request.request_body_bytes, response.response_body_bytes) if stood else (0, 0)
    return (
        request.request_headers_bytes + request.request_body_bytes,
        response.response_headers_bytes + response.response_body_bytes,
    )
