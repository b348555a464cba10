"""What servers send, taken in once.

All is acknowledged only after its commit; sent again, it is acknowledged and changes nothing. A record that makes no
sense is refused alone and counted, so that it cannot hold back the others for ever.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.models import Sample
from connectors.telemetry import store

MOST_BYTES_PER_SECOND = 100e9 / 8
AHEAD_SECONDS = 60
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
LARGEST = 2**63 - 1


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SampleRecord(Record):
    """A sample as a server sends it; ``time`` is the end of its interval, in epoch seconds."""

    time: float = Field(ge=EARLIEST)
    seconds: float = Field(gt=0, le=store.LONGEST_SAMPLE)
    rx_bytes: int = Field(ge=0, le=LARGEST)
    tx_bytes: int = Field(ge=0, le=LARGEST)
    # More than 100 % is possible where a program uses several processors.
    cpu_percent: float | None = Field(default=None, ge=0, le=100_000)
    memory_percent: float | None = Field(default=None, ge=0, le=100)
    latency_ms: float | None = Field(default=None, ge=0, le=600_000)
    loss_percent: float | None = Field(default=None, ge=0, le=100)


def samples_of(server: str, raw: Sequence[Any], now: datetime | None = None) -> list[Sample]:
    """Those of a server's records that make sense, as samples to be stored. Future-dated and absurd ones do not."""
    now = now or timezone.now()
    earliest = store.oldest_accepted(now).timestamp()
    latest = now.timestamp() + AHEAD_SECONDS
    return [sample for item in raw if (sample := _sample(server, item, earliest, latest)) is not None]


def _sample(server: str, item: Any, earliest: float, latest: float) -> Sample | None:
    try:
        record = SampleRecord.model_validate(item)
    except ValidationError:
        return None
    most = MOST_BYTES_PER_SECOND * record.seconds
    if not earliest <= record.time <= latest or record.rx_bytes > most or record.tx_bytes > most:
        return None
    # To the millisecond: the unique key must not depend on how a database rounds.
    time = datetime.fromtimestamp(round(record.time * 1000) / 1000, UTC)
    return Sample(server_id=server, **record.model_dump() | {"time": time})
