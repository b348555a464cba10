"""Telemetry to the console: spooled samples in batches, and the answer's word on which configuration to work by."""

import logging
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from edge import version
from edge.machine.api import ApiRefused, Caller, pause_of
from edge.machine.enrollment import private_address
from edge.machine.spool import Spool
from edge.protocol.configuration import ServerConfiguration
from edge.protocol.edition import Edition
from edge.protocol.reports import Destination, MachineState, Path, Telemetry, TelemetryAnswer
from edge.server.meter import KIND

logger = logging.getLogger(__name__)

BATCH = 500
NOTE = "batch"
# Seconds after which one side or the other closes a connection that waits for the next call.
IDLE_SECONDS = 5.0
USUAL_INTERVAL = 10.0


@dataclass(frozen=True)
class Answer:
    """Answer of the console: seconds until the next call, the edition that is wanted, whether more waits here."""

    interval: float
    wanted: Edition
    more: bool


@dataclass
class _Attempt:
    """Set of samples on its way: the same set goes out under the same name until it is acknowledged."""

    batch: str
    tokens: list[int]
    samples: list[dict[str, Any]]


def uptime() -> int:
    """Return the seconds since this machine started, by a clock that nobody sets."""
    # Linux's monotonic clock stands still while the machine sleeps; other systems have no second clock.
    return round(time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)))


class Reporter:
    """Sender of what the spool holds. `step` is one call; whatever `step` raises, the samples are still there."""

    def __init__(
        self,
        spool: Spool,
        api: Caller,
        console: str,
        *,
        envoy_state: Callable[[], str],
        open_flows: Callable[[], Awaitable[int | None]],
        ways: Callable[[], tuple[Sequence[Path], Sequence[Destination]]] = lambda: ((), ()),
    ) -> None:
        self._spool = spool
        self._api = api
        self._console = console
        self._envoy_state = envoy_state
        self._open_flows = open_flows
        self._ways = ways
        self._attempt: _Attempt | None = None
        self._limit = BATCH
        self._interval = 0.0

    async def step(self, applied: ServerConfiguration | None) -> Answer:
        """Send one batch; an empty one is a sign of life. Raises `edge.machine.api.ApiError`.

        `applied`: the configuration in force; the console hears of its edition.
        """
        attempt = self._attempt or self._next()
        # A sign of life that failed is not repeated.
        self._attempt = attempt if attempt.samples else None
        paths, destinations = self._ways()
        report = Telemetry(
            batch=UUID(attempt.batch),
            applied_version=applied.version if applied else 0,
            epoch=applied.epoch if applied else "",
            seal=applied.seal if applied else "",
            samples=attempt.samples,
            machine=await self._machine(),
            paths=paths,
            destinations=destinations,
        )
        try:
            answer = await self._api.call(
                "telemetry", report, TelemetryAnswer, last=self._interval > IDLE_SECONDS
            )
        except ApiRefused as error:
            if error.status in (400, 413, 422) and attempt.samples:
                self._give_way(attempt, error)
            raise
        self._spool.drop(attempt.tokens)
        self._attempt, self._limit = None, BATCH
        self._interval = pause_of(answer.interval, USUAL_INTERVAL)
        wanted = Edition(answer.epoch, answer.wanted_version)
        return Answer(self._interval, wanted, more=len(attempt.tokens) == BATCH)

    def _next(self) -> _Attempt:
        """Choose the next set: the one an earlier process was sending, or the oldest samples under a new name."""
        tokens, samples = self._spool.peek(KIND, self._limit)
        note = self._spool.note(NOTE)
        if note and note["tokens"] and note["tokens"] == tokens[: len(note["tokens"])]:
            count = len(note["tokens"])
            return _Attempt(note["batch"], tokens[:count], samples[:count])
        batch = str(uuid.uuid4())
        if tokens:
            self._spool.remember(NOTE, {"batch": batch, "tokens": tokens})
        return _Attempt(batch, tokens, samples)

    def _give_way(self, attempt: _Attempt, error: ApiRefused) -> None:
        """Narrow a refused batch down to the one sample at fault, and let only that sample go, lest all wait."""
        if len(attempt.tokens) == 1:
            logger.error(
                "The console refuses a sample (%s), which is given up: %s", error, attempt.samples[0]
            )
            self._spool.drop(attempt.tokens)
        self._limit = max(1, len(attempt.tokens) // 2)
        self._spool.remember(NOTE, {"batch": "", "tokens": []})
        self._attempt = None

    async def _machine(self) -> MachineState:
        return MachineState(
            hostname=socket.gethostname(),
            version=version(),
            private_address=private_address(self._console),
            uptime_seconds=uptime(),
            envoy=self._envoy_state(),
            open_flows=await self._open_flows(),
        )
