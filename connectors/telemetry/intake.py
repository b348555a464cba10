"""Intake of what servers send, each sample once.

Samples are acknowledged only after their commit; sent again, they are acknowledged and change nothing. A record that
makes no sense is refused alone and counted, so that it cannot hold back the others for ever.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from django.utils import timezone
from pydantic import Field, ValidationError

from connectors.telemetry import store
from connectors.telemetry.models import Sample
from console.machines.reported import Block, Milliseconds, Percent, Reported

MOST_BYTES_PER_SECOND = 100e9 / 8
AHEAD_SECONDS = 60
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
LARGEST = 2**63 - 1
# Servers report times to the millisecond; databases fail in dividing by much less.
SHORTEST_SECONDS = 0.001
# Several processors in use by one program make more than 100 %.
CpuPercent = Annotated[float, Field(strict=True, ge=0, le=100_000, allow_inf_nan=False)]


class SampleRecord(Block):
    """Sample as a server sends it; ``time`` is the end of its interval, in epoch seconds.

    Without a time, a duration and bytes that make sense there is no sample; any other wrong value is dropped alone.
    """

    time: float = Field(ge=EARLIEST)
    seconds: float = Field(ge=SHORTEST_SECONDS, le=store.LONGEST_SAMPLE)
    rx_bytes: int = Field(ge=0, le=LARGEST)
    tx_bytes: int = Field(ge=0, le=LARGEST)
    cpu_percent: Reported[CpuPercent] = None
    memory_percent: Reported[Percent] = None
    latency_ms: Reported[Milliseconds] = None
    loss_percent: Reported[Percent] = None


def samples_of(server: str, raw: Sequence[Any], now: datetime | None = None) -> list[Sample]:
    """Make samples to be stored of a server's records; future-dated, absurd and too old ones are left out."""
    now = now or timezone.now()
    earliest = store.oldest_accepted(now).timestamp()
    latest = now.timestamp() + AHEAD_SECONDS
    return [sample for item in raw if (sample := _sample(server, item, earliest, latest)) is not None]


def _sample(server: str, item: Any, earliest: float, latest: float) -> Sample | None:
    try:
        record = SampleRecord.model_validate(item, context={"machine": server})
    except ValidationError:
        return None
    most = MOST_BYTES_PER_SECOND * record.seconds
    if not earliest <= record.time <= latest or record.rx_bytes > most or record.tx_bytes > most:
        return None
    # Round to the millisecond: the unique key must not depend on how a database rounds.
    time = datetime.fromtimestamp(round(record.time * 1000) / 1000, UTC)
    return Sample(server_id=server, **record.model_dump() | {"time": time})
