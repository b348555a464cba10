"""Reports of the gateway to the console: its status, and records of flows."""

import asyncio
import contextlib
import logging
import uuid

from edge import version
from edge.envoy.process import EnvoyProcess
from edge.gateway.accesslog import KIND
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.machine import backoff
from edge.machine.api import ApiError, ApiRefused, ConsoleApi, pause_of
from edge.machine.log_export import LogSender
from edge.machine.spool import Spool
from edge.protocol.codes import Code
from edge.protocol.reports import Flows as FlowBatch
from edge.protocol.reports import FlowsAnswer, GatewayStatus, StatusAnswer

logger = logging.getLogger(__name__)

BATCH = 500
SEND_SECONDS = 2.0
RETRY_SECONDS = 5.0
MOST_SECONDS = 10.0
# For a console that does not know this gateway any more, which asking often would not change.
UNKNOWN_SECONDS = 60.0


class StatusReporter:
    """Reporter of the status: at once when ``changed`` is set, else at the interval that the console named last.

    ``logs`` hears with every answer whether the console asks for this machine's logs.
    """

    def __init__(
        self, api: ConsoleApi, state: GatewayState, flows: Flows, envoy: EnvoyProcess, logs: LogSender
    ) -> None:
        self._api, self._state, self._flows, self._envoy, self._logs = api, state, flows, envoy, logs
        self.changed = asyncio.Event()

    def status(self) -> GatewayStatus:
        tunnels: dict[str, int] = {}
        for (_, server), count in self._state.tunnels.items():
            tunnels[server] = tunnels.get(server, 0) + count
        return GatewayStatus(
            version=version(),
            open_flows=len(self._flows),
            envoy=self._envoy.state,
            tunnels=tunnels,
            applied_version=self._state.edition.version,
        )

    async def run(self) -> None:
        failures = 0
        while True:
            self.changed.clear()
            interval = RETRY_SECONDS
            try:
                answer = await self._api.call("gateway/status", self.status(), StatusAnswer)
                interval, failures = pause_of(answer.interval, RETRY_SECONDS), 0
                self._logs.follow(answer.logs)
            except ApiError as error:
                logger.warning("The status could not be reported to the console: %s", error)
                failures += 1
                await asyncio.sleep(_pause(failures, error))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(interval, 0.5)):
                    await self.changed.wait()


def _pause(failures: int, error: ApiError) -> float:
    if getattr(error, "code", None) == Code.MACHINE_UNKNOWN:
        return backoff.pause(failures, asked=UNKNOWN_SECONDS)
    return backoff.pause(failures, asked=error.retry_after, most=MOST_SECONDS)


class FlowSender:
    """Sender of flow records, which leave the spool only when the console has acknowledged them."""

    def __init__(self, api: ConsoleApi, spool: Spool) -> None:
        self._api, self._spool = api, spool
        self._limit = BATCH

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                pause = 0.0 if await self.send() else SEND_SECONDS
                failures = 0
            except ApiError as error:
                logger.warning("Flow records wait for the console: %s", error)
                failures += 1
                pause = _pause(failures, error)
            if pause:
                await asyncio.sleep(pause)

    async def send(self) -> bool:
        """Send one batch; return whether more records wait. Raises ApiError when the batch stays unsent.

        Records are cumulative, so one that is sent twice changes nothing.
        """
        tokens, records = self._spool.peek(KIND, self._limit)
        if not records:
            return False
        try:
            await self._api.call("flows", FlowBatch(uuid.uuid4(), records), FlowsAnswer)
        except ApiRefused as error:
            if error.status in (401, 403, 429):
                raise
            # A record that the console will never take must not hold up all others: find the record, say so, go on.
            if self._limit > 1:
                self._limit = max(1, len(records) // 2)
                return True
            logger.error("The console refuses a flow record, which is dropped: %s; %s", error, records[0])
        self._spool.drop(tokens)
        self._limit = min(BATCH, self._limit * 2)
        return len(records) == self._limit or self._limit < BATCH
