"""What machines tell the console time and again, and what it answers: polls, status, telemetry, flows, upgrades, logs.

Fields without a default decide, so that a call with a wrong one is refused. Fields with a default are measured: the
console drops a value that makes no sense, as if it had not been sent (`console.machines.reported`). Exceptions are
`wait`, `epoch`, `seal` and `ends` of a `GatewayPoll` and all of a `FlowRecord`, which are strict throughout.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from edge.protocol.message import Message
from edge.protocol.values import (
    PLAIN,
    Address,
    Count,
    CpuPercent,
    Epoch,
    Id,
    Mark,
    Milliseconds,
    Moment,
    Percent,
    Reason,
    Seal,
    Seconds,
    State,
    Text,
    Version,
    Word,
)

MOST_RECORDS = 1000
# Records of a batch, each the document of a `Sample` or a `FlowRecord`, perhaps by another release that filled the
# spool. The console checks them one by one, so that one bad record does not refuse its batch for ever.
Records = Annotated[
    Sequence[Any], Meta(max_length=MOST_RECORDS, description=f"a list of at most {MOST_RECORDS} records")
]
Wait = Annotated[float, Meta(ge=0, le=25, description="a number of seconds from 0 to 25")]
Tunnels = Annotated[int, Meta(ge=0, le=10_000, description="a whole number from 0 to 10,000")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a whole number from 1 to 65535")]


class Nothing(Message, frozen=True):
    """Empty message: a question without parameters, or an answer that says no more than that all is well."""


# -- A gateway's


class GatewayPoll(Message, frozen=True):
    """Question for a newer configuration (``gateway/config``), and confirmation of the one in force.

    `applied_version`: 0 before the first; confirms every cut-over up to that version. `wait`: how long the console may
    take until there is something newer, in seconds; a wrong one is refused. `cut_flows`: cut by applying that version.
    `epoch`, `seal`: those of the configuration in force, as they came; a poll of another epoch confirms nothing.
    `ends`: the last mark that came, which confirms every end up to that; null from release 0.1, which has to be told of
    ends by configurations.
    """

    applied_version: Version
    cut_flows: Count | None = None
    wait: Wait = 0
    epoch: Epoch = ""
    seal: Seal = ""
    ends: Mark | None = None


class Unchanged(Message, frozen=True, omit_defaults=True):
    """Answer to a poll by the present configuration; else it is the `GatewayConfiguration`. `unchanged`: true.

    `ended_sessions`: session → reason, of those that ended since the poll's `ends`, ahead of the configuration.
    `ends`: the mark of the last of them.
    """

    unchanged: bool
    version: Version
    ends: Mark = ""
    ended_sessions: Mapping[str, str] = {}


class GatewayStatus(Message, frozen=True, kw_only=True):
    """State of a gateway (``gateway/status``). `version`: of the software; `tunnels`: server id → live tunnels.

    `envoy`: ``running``, or what the console shows instead. A server's tunnels are null when their number makes no
    sense; what was known of them before stays.
    """

    version: Word = ""
    open_flows: Count | None = None
    envoy: State = ""
    tunnels: Mapping[str, Tunnels | None] | None = None
    applied_version: Version | None = None


class StatusAnswer(Message, frozen=True):
    """Answer to a status. `interval`: seconds until the next; one of no sense stands for the machine's usual one.

    `logs`: id of the log export that waits for the gateway, or null.
    """

    interval: Any = None
    logs: str | None = None


FlowPath = Literal["cloud", "connector"]


class FlowRecord(Message, frozen=True, kw_only=True):
    """Flow as its gateway knows it; a later record of the same flow replaces an earlier one. Ids may be null or empty.

    `server`: of the connector, which carried the flow; null where the gateway does not know, or is of release 0.1.
    Times are epoch seconds. `ended_at`, `end`: null while the flow is open. `time`: when these bytes were counted,
    believed from the flow's beginning to now; else the end of the flow, else the record's arrival. Bytes are at most
    2⁵³ = 9 PB, what 100 Gbit/s carry in eight days: the records of a batch together stay below 2⁶³, where a database
    would refuse the whole batch, and the gateway would send it for ever.
    """

    flow: Annotated[str, Meta(min_length=1, max_length=64, pattern=PLAIN, description="a flow's id")]
    session: Id | None = None
    account: Id | None = None
    instance: Id | None = None
    host: Annotated[str, Meta(max_length=255, pattern=PLAIN, description="a host")]
    port: Annotated[int, Meta(ge=0, le=65535, description="a whole number from 0 to 65535")]
    application: Id | None = None
    policy: Id | None = None
    connector: Id | None = None
    server: Id | None = None
    path: FlowPath
    started_at: Moment
    ended_at: Moment | None = None
    bytes_up: Version
    bytes_down: Version
    end: Literal["closed", "cut"] | None = None
    time: Moment | None = None


class Flows(Message, frozen=True):
    """Batch of `FlowRecord` (``flows``). `batch`: sent again under the same one, it changes nothing."""

    batch: UUID
    records: Records


class FlowsAnswer(Message, frozen=True):
    """Answer to flows: how many are not to be sent again, and how many of those made no sense."""

    acknowledged: int = 0
    refused: int = 0


# -- A server's


class Sample(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Interval of a server. `time`: its end, epoch s; `seconds`: its length, at most 3,600.

    `rx_bytes`: received from the gateways, what users sent; `tx_bytes`: sent to them. `latency_ms`, `loss_percent`: of
    the worst way to a gateway. A gauge that was not measured is missing. A sample counts once by server and time.
    """

    time: Moment
    # Servers report times to the millisecond; databases fail in dividing by much less.
    seconds: Annotated[float, Meta(ge=0.001, le=3600, description="a number of seconds from 0.001 to 3600")]
    rx_bytes: Annotated[int, Meta(ge=0, le=2**63 - 1, description="a whole number, 0 or more")]
    tx_bytes: Annotated[int, Meta(ge=0, le=2**63 - 1, description="a whole number, 0 or more")]
    cpu_percent: CpuPercent | None = None
    memory_percent: Percent | None = None
    latency_ms: Milliseconds | None = None
    loss_percent: Percent | None = None


class MachineState(Message, frozen=True, kw_only=True):
    """State of a server now. `version`: of the software; `open_flows`: null when Envoy does not say.

    `envoy`: ``running``, or what the console shows instead.
    """

    hostname: Text = ""
    version: Word = ""
    private_address: Address = ""
    uptime_seconds: Seconds | None = None
    envoy: State = ""
    open_flows: Count | None = None


class Path(Message, frozen=True):
    """Way to a gateway over the last interval; null what was not measured. `by`: udp, tcp or nothing."""

    gateway: Word
    latency_ms: Milliseconds | None = None
    loss_percent: Percent | None = None
    by: Literal["udp", "tcp", ""] = ""


class Destination(Message, frozen=True):
    """Host and port of an application, and whether a connection was taken there, after how many milliseconds."""

    application: Word
    host: Text
    port: Port
    reached: bool
    milliseconds: Milliseconds | None = None


class Telemetry(Message, frozen=True, kw_only=True):
    """Samples of a server, and how the server is (``telemetry``); without samples a sign of life.

    `batch`: sent again under the same one, it changes nothing. `applied_version`: of the configuration; unlike a
    gateway's it confirms no cut-over. `epoch`, `seal`: those of the configuration, as they came. `samples`: documents
    of `Sample`, the oldest first. `paths`, `destinations`: as last measured; null when not told.
    """

    batch: UUID
    applied_version: Version | None = None
    epoch: Epoch = ""
    seal: Seal = ""
    samples: Records
    machine: MachineState | None = None
    paths: Sequence[Path] | None = None
    destinations: Sequence[Destination] | None = None


class TelemetryAnswer(Message, frozen=True, kw_only=True):
    """Answer to telemetry. `acknowledged`: samples not to be sent again; `refused`: those of them that made no sense.

    `wanted_version`, `epoch`: of the configuration that the server should work by. `interval`: as in `StatusAnswer`.
    """

    acknowledged: int = 0
    refused: int = 0
    wanted_version: Version
    epoch: Epoch = ""
    interval: Any = None


# -- Every machine's

UpgradeState = Literal["installing", "restarting", "healthy", "failed", "rolled_back"]


class UpgradeWord(Message, frozen=True):
    """Progress of a machine with an upgrade's order (``gateway/upgrade``, ``server/upgrade``).

    `message`: why the upgrade failed or was taken back. A word about an order that is over changes nothing.
    """

    order: Id
    state: UpgradeState
    message: Reason = ""


PART_BYTES = 512 * 1024
Base64 = Annotated[str, Meta(max_length=PART_BYTES * 4 // 3 + 4, description="base64 of at most 512 KiB")]
PartNumber = Annotated[int, Meta(ge=0, le=10_000, description="a whole number from 0 to 10,000")]


class LogPart(Message, frozen=True):
    """Piece of an archive of logs (``logs``), in order; `part` 0 begins anew, one that came before is passed over."""

    export: Id
    part: PartNumber
    last: bool
    data: Base64


class LogsFailed(Message, frozen=True):
    """Word that the logs cannot be packed (``logs/failed``), and why."""

    export: Id
    message: Reason = ""
