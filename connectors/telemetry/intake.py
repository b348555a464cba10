"""Intake of what servers send, each sample once.

Samples are acknowledged only after their commit; sent again, they are acknowledged and change nothing. A record that
makes no sense is refused alone and counted, so that it cannot hold back the others for ever.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.utils import timezone

from connectors.telemetry import store
from connectors.telemetry.models import Sample
from console.machines import reported
from edge.protocol import reports as wire
from edge.protocol.message import MessageInvalid

MOST_BYTES_PER_SECOND = 100e9 / 8
AHEAD_SECONDS = 60


def samples_of(server: str, raw: Sequence[Any], now: datetime | None = None) -> list[Sample]:
    """Make samples to be stored of a server's records; future-dated, absurd and too old ones are left out."""
    now = now or timezone.now()
    earliest = store.oldest_accepted(now).timestamp()
    latest = now.timestamp() + AHEAD_SECONDS
    return [sample for item in raw if (sample := _sample(server, item, earliest, latest)) is not None]


def _sample(server: str, item: Any, earliest: float, latest: float) -> Sample | None:
    try:
        record = reported.read(wire.Sample, item, server)
    except MessageInvalid:
        return None
    most = MOST_BYTES_PER_SECOND * record.seconds
    if not earliest <= record.time <= latest or record.rx_bytes > most or record.tx_bytes > most:
        return None
    # Round to the millisecond: the unique key must not depend on how a database rounds.
    time = datetime.fromtimestamp(round(record.time * 1000) / 1000, UTC)
    return Sample(server_id=server, **msgspec.structs.asdict(record) | {"time": time})
