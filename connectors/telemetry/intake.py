"""Intake of what servers send, each sample once.

Samples are acknowledged only after their commit; sent again, they are acknowledged and change nothing. A record that
makes no sense is refused alone and counted, so that it cannot hold back the others for ever.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.conf import settings
from django.utils import timezone

from connectors.telemetry import store
from connectors.telemetry.models import Sample
from console.core.rates import Rate, TooMany
from console.machines import reported
from edge.protocol import reports as wire
from edge.protocol.message import MessageInvalid

AHEAD_SECONDS = 60
calls = Rate(lambda: settings.TELEMETRY_CALLS_PER_MINUTE)
samples = Rate(lambda: settings.TELEMETRY_SAMPLES_PER_MINUTE)


def share(server: str, count: int) -> None:
    """Count a call of a server with so many samples. Raises ``TooMany`` for what is beyond the server's share."""
    if (seconds := samples.wait(server, count)) > 0:
        most = settings.TELEMETRY_SAMPLES_PER_MINUTE
        raise TooMany(
            f"samples must be at most {most:,} a minute of one server. Send the rest later.", seconds
        )
    calls.take(
        server,
        1,
        f"A server may report at most {settings.TELEMETRY_CALLS_PER_MINUTE} times a minute. Report again later.",
    )
    samples.count(server, count)


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
    most = settings.SERVER_LINE_GBPS * 1e9 / 8 * record.seconds
    if not earliest <= record.time <= latest or record.rx_bytes > most or record.tx_bytes > most:
        return None
    # Round to the millisecond: the unique key must not depend on how a database rounds.
    time = datetime.fromtimestamp(round(record.time * 1000) / 1000, UTC)
    return Sample(server_id=server, **msgspec.structs.asdict(record) | {"time": time})
