"""What gateways tell of flows, taken in once.

A batch is acknowledged only after its commit; sent again, it is acknowledged and changes nothing. A record that makes
no sense is refused alone and counted, so that it cannot hold back the others for ever. Records are cumulative: what is
counted is by how much a record exceeds what is stored, so that neither order nor repetition changes the sums.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.core.rates import Rate
from console.machines import reported
from console.models import Gateway, ReceivedBatch
from edge.protocol.message import MessageInvalid
from edge.protocol.reports import FlowRecord
from roaming.sessions.models import UserSession
from roaming.usage import buckets as usage
from roaming.usage.models.flows import Flow

# A session whose flow was heard of within so many seconds is active now.
ACTIVE_SECONDS = 60
KEEP = timedelta(days=90)
SWEEP = 5000
records = Rate(lambda: settings.FLOW_RECORDS_PER_MINUTE)


def share(gateway: str, count: int) -> None:
    """Count flow records of a gateway. Raises ``TooMany`` for what is beyond the gateway's share."""
    most = settings.FLOW_RECORDS_PER_MINUTE
    records.take(
        gateway, count, f"records must be at most {most:,} a minute of one gateway. Send the rest later."
    )


@dataclass(frozen=True)
class Taken:
    """``acknowledged``: records dealt with, not to be sent again; ``refused``: those among them that made no sense."""

    acknowledged: int
    refused: int


@dataclass
class Told:
    """One record: the flow as it tells it, when it was so, and which connector or server carried it, if one did."""

    flow: Flow
    moment: datetime
    carrier: str


@transaction.atomic
def take_flows(gateway: Gateway, batch: UUID, raw: Sequence[Any], now: datetime | None = None) -> Taken:
    """Merge a gateway's flow records into its flows, in whatever order and however often they come."""
    now = now or timezone.now()
    told = [item for entry in raw if (item := _told(gateway, entry, now)) is not None]
    taken = Taken(acknowledged=len(raw), refused=len(raw) - len(told))
    # One batch of a gateway at a time: merging reads before it writes.
    Gateway.objects.select_for_update().get(pk=gateway.pk)
    if told and ReceivedBatch.objects.get_or_create(machine=gateway.pk, batch=batch)[1]:
        sums = usage.Sums()
        flows = _merged(gateway, told, sums)
        Flow.objects.bulk_create(
            flows,
            update_conflicts=True,
            unique_fields=["gateway", "flow"],
            update_fields=["started_at", "ended_at", "bytes_up", "bytes_down", "end"],
        )
        sums.write()
        _touch_sessions(told, now)
    return taken


def _told(gateway: Gateway, entry: Any, now: datetime) -> Told | None:
    try:
        record = reported.read_strictly(FlowRecord, entry, gateway.pk)
    except MessageInvalid:
        reported.drop(gateway.pk, "records", entry)
        return None
    values = {key: "" if value is None else value for key, value in msgspec.structs.asdict(record).items()}
    ended = None if record.ended_at is None else _moment(record.ended_at, now)
    started = _moment(record.started_at, now)
    moment = ended or now if record.time is None else max(started, _moment(record.time, now))
    del values["time"]
    # A gateway that does not name the server tells of the connector alone.
    carrier = values.pop("server") or values["connector"]
    values |= {"started_at": started, "ended_at": ended, "end": record.end}
    return Told(Flow(gateway=gateway, **values), moment, carrier)


def _moment(epoch: float, now: datetime) -> datetime:
    """A gateway whose clock runs ahead must not lose its bytes: its future is our present."""
    return datetime.fromtimestamp(min(epoch, now.timestamp()), UTC)


def _merged(gateway: Gateway, told: Iterable[Told], sums: usage.Sums) -> list[Flow]:
    """The flows as they are after these records; what is new of their bytes goes into ``sums``."""
    told = list(told)
    present = Flow.objects.filter(gateway=gateway, flow__in={item.flow.flow for item in told})
    known = {flow.flow: flow for flow in present}
    for item in told:
        flow = known.get(item.flow.flow)
        up, down = (flow.bytes_up, flow.bytes_down) if flow else (0, 0)
        merged = merge(flow, item.flow) if flow else item.flow
        known[merged.flow] = merged
        sums.add(
            account=merged.account,
            instance=merged.instance,
            session=merged.session,
            carrier=item.carrier,
            moment=item.moment,
            up=merged.bytes_up - up,
            down=merged.bytes_down - down,
        )
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


def _touch_sessions(told: Iterable[Told], now: datetime) -> None:
    """Sessions with a flow that is open or ended just now are active; late records of old flows say nothing."""
    since = now - timedelta(seconds=ACTIVE_SECONDS)
    ends = ((item.flow.session, item.flow.ended_at) for item in told if item.flow.session)
    active = {session for session, ended in ends if ended is None or ended > since}
    # In the order of their keys, as the ends of sessions lock them.
    if active:
        rows = UserSession.objects.filter(pk__in=active)
        locked = list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        UserSession.objects.filter(pk__in=locked).update(last_active_at=now)


def flows_forget(now: datetime | None = None) -> int:
    """For the worker: flows that ended long ago; how many."""
    old = Flow.objects.filter(ended_at__lt=(now or timezone.now()) - KEEP).order_by()
    gone = 0
    while keys := list(old.values_list("pk", flat=True)[:SWEEP]):
        gone += Flow.objects.filter(pk__in=keys).delete()[0]
    return gone
