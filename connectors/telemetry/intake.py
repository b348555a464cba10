"""What machines send, taken in once: samples from servers, batches of flow records from gateways.

All is acknowledged only after its commit; sent again, it is acknowledged and changes nothing. A record that makes no
sense is refused alone and counted, so that it cannot hold back the others for ever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.models import Flow, Sample
from connectors.telemetry import store
from console.models import Gateway, ReceivedBatch

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


class FlowRecord(Record):
    """A flow as a gateway sends it; ids that do not apply are null or empty."""

    flow: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    session: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    account: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    instance: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    host: str = Field(max_length=255, pattern=r"^[^\x00]*$")
    port: int = Field(ge=0, le=65535)
    application: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    policy: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    connector: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")
    path: Literal["cloud", "connector"]
    started_at: float = Field(ge=EARLIEST)
    ended_at: float | None = Field(default=None, ge=EARLIEST)
    bytes_up: int = Field(ge=0, le=LARGEST)
    bytes_down: int = Field(ge=0, le=LARGEST)
    end: Literal["closed", "cut"] | None = None


@dataclass(frozen=True)
class Taken:
    """``acknowledged``: records dealt with, not to be sent again; ``refused``: those among them that made no sense."""

    acknowledged: int
    refused: int


def _first_time(machine: str, batch: UUID) -> bool:
    return bool(ReceivedBatch.objects.get_or_create(machine=machine, batch=batch)[1])


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


@transaction.atomic
def take_flows(gateway: Gateway, batch: UUID, raw: Sequence[Any], now: datetime | None = None) -> Taken:
    """Merge a gateway's flow records into its flows, in whatever order and however often they come."""
    now = now or timezone.now()
    flows = [flow for item in raw if (flow := _flow(gateway, item, now)) is not None]
    taken = Taken(acknowledged=len(raw), refused=len(raw) - len(flows))
    # One batch of a gateway at a time: merging reads before it writes.
    Gateway.objects.select_for_update().get(pk=gateway.pk)
    if flows and _first_time(gateway.pk, batch):
        merged = _merged(gateway, flows)
        Flow.objects.bulk_create(
            merged,
            update_conflicts=True,
            unique_fields=["gateway", "flow"],
            update_fields=["started_at", "ended_at", "bytes_up", "bytes_down", "end"],
        )
        _touch_sessions(flows, now)
    return taken


def _flow(gateway: Gateway, item: Any, now: datetime) -> Flow | None:
    try:
        record = FlowRecord.model_validate(item)
    except ValidationError:
        return None
    values = {key: "" if value is None else value for key, value in record.model_dump().items()}
    values["started_at"] = _moment(record.started_at, now)
    values["ended_at"] = None if record.ended_at is None else _moment(record.ended_at, now)
    values["end"] = record.end
    return Flow(gateway=gateway, **values)


def _moment(epoch: float, now: datetime) -> datetime:
    """A gateway whose clock runs ahead must not lose its bytes: its future is our present."""
    return datetime.fromtimestamp(min(epoch, now.timestamp()), UTC)


def _merged(gateway: Gateway, flows: Iterable[Flow]) -> list[Flow]:
    flows = list(flows)
    present = Flow.objects.filter(gateway=gateway, flow__in={flow.flow for flow in flows})
    known = {flow.flow: flow for flow in present}
    for flow in flows:
        known[flow.flow] = merge(known[flow.flow], flow) if flow.flow in known else flow
    return list(known.values())


def merge(one: Flow, other: Flow) -> Flow:
    """Both records in ``one``. The order of merging does not matter: counters only rise, and an end stays an end."""
    one.bytes_up = max(one.bytes_up, other.bytes_up)
    one.bytes_down = max(one.bytes_down, other.bytes_down)
    one.started_at = min(one.started_at, other.started_at)
    ends = [moment for moment in (one.ended_at, other.ended_at) if moment is not None]
    one.ended_at = max(ends, default=None)
    # «cut» says more than «closed»: a flow that was cut was closed as well.
    one.end = max(one.end or "", other.end or "") or None
    return one


def _touch_sessions(flows: Iterable[Flow], now: datetime) -> None:
    """Sessions with a flow that is open or ended just now are active; late records of old flows say nothing."""
    from roaming.models import UserSession

    active = {
        flow.session
        for flow in flows
        if flow.session and (flow.ended_at is None or (now - flow.ended_at).total_seconds() < AHEAD_SECONDS)
    }
    if active:
        UserSession.objects.filter(pk__in=active).update(last_active_at=now)
