"""Samples of one machine: bytes through the tunnels from Envoy's counters, processor and memory from the system."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import psutil

from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.envoy.server import STATISTICS
from edge.machine.spool import Spool
from edge.protocol.reports import Sample

KIND = "sample"
SAMPLE_SECONDS = 10.0
NOTE = "counters"
# The console takes no sample that speaks of more; a longer gap, with Envoy running unwatched, is told in several.
LONGEST_SECONDS = 600.0
_PREFIX = f"http.{STATISTICS}.downstream_cx_"


@dataclass(frozen=True)
class Counters:
    """Counters of Envoy at a moment; `envoy` names the process, whose counters begin at 0."""

    envoy: str
    time: float
    rx: int
    tx: int


class Meter:
    """Maker of samples (shape: docs/architecture.md), which go into the spool.

    The last reading is remembered in the same transaction as the sample made from it, so that a new agent goes on where
    the last one stopped: nothing is lost and nothing counted twice while Envoy lives.
    """

    def __init__(
        self,
        envoy: EnvoyProcess,
        spool: Spool,
        *,
        clock: Callable[[], float] = time.time,
        probes: Callable[[], dict[str, float]] = dict,
    ) -> None:
        self._envoy = envoy
        self._spool = spool
        self._clock = clock
        self._probes = probes
        self._primed = False
        psutil.cpu_percent()  # the first call has no interval

    @property
    def last(self) -> Counters | None:
        """Last reading; None until there is one."""
        return self._last()

    async def take(self) -> None:
        """Put one sample into the spool; while Envoy does not run nothing is measured, and no sample made."""
        machine = self._machine()
        try:
            now = await self._read()
        except EnvoyError:
            return
        last, note = self._last(), (NOTE, vars(now))
        if last is None:
            self._spool.remember(*note)
            return
        seconds = now.time - last.time
        if last.envoy != now.envoy:
            # A new Envoy has counted everything since the last round.
            last = Counters(now.envoy, last.time, 0, 0)
            seconds = min(seconds, SAMPLE_SECONDS)
        if seconds <= 0:  # the clock was set back
            seconds = SAMPLE_SECONDS
        samples = _samples(last, now, seconds, machine)
        self._spool.put_all(KIND, [sample.encode() for sample in samples], note=note)

    async def open_flows(self) -> int | None:
        """Return how many connections Envoy carries at this moment; None when Envoy does not say."""
        name = f"http.{STATISTICS}.downstream_rq_active"
        try:
            answer = await self._envoy.admin(f"/stats?filter=^{name}$")
        except EnvoyError:
            return None
        value = answer.rpartition(": ")[2].strip()
        return int(value) if value.isdigit() else None

    async def _read(self) -> Counters:
        incarnation = self._envoy.incarnation
        answer = json.loads(
            await self._envoy.admin(f"/stats?format=json&filter=^{_PREFIX}(rx|tx)_bytes_total")
        )
        values = {each["name"]: each["value"] for each in answer["stats"] if "name" in each}
        if incarnation is None or incarnation != self._envoy.incarnation:
            raise EnvoyError("Envoy was replaced while its counters were read.")
        counters = (int(values.get(f"{_PREFIX}{name}_bytes_total", 0)) for name in ("rx", "tx"))
        return Counters(incarnation, round(self._clock(), 3), *counters)

    def _last(self) -> Counters | None:
        value = self._spool.note(NOTE)
        return Counters(**value) if value else None

    def _machine(self) -> dict[str, float]:
        """Measure the gauges of a sample, by name."""
        values = {"memory_percent": psutil.virtual_memory().percent}
        percent = psutil.cpu_percent()
        if self._primed:
            values["cpu_percent"] = percent
        self._primed = True
        return values | self._probes()


def _samples(last: Counters, now: Counters, seconds: float, machine: dict[str, float]) -> list[Sample]:
    """Return the samples of the `seconds` up to `now`; the machine's values belong to the last moment only."""
    pieces = math.ceil(seconds / LONGEST_SECONDS)
    rx, tx = _split(now.rx - last.rx, pieces), _split(now.tx - last.tx, pieces)
    samples = [
        Sample(
            time=round(now.time - seconds * (pieces - 1 - index) / pieces, 3),
            seconds=round(seconds / pieces, 3),
            rx_bytes=rx[index],
            tx_bytes=tx[index],
        )
        for index in range(pieces)
    ]
    samples[-1] = msgspec.structs.replace(samples[-1], **machine)
    return samples


def _split(total: int, pieces: int) -> list[int]:
    """Return `pieces` whole numbers that add up to `total`."""
    return [total * (index + 1) // pieces - total * index // pieces for index in range(pieces)]
