"""Configurations that the console has its machines work by: a gateway's, and a connector server's.

Each is the answer of one call (``gateway/config``, ``server/config``), part of the answer to an enrollment, and a file
in the machine's home. The file holds the document as it came: an upgraded agent finds in it also what the agent before
did not know.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta

from edge.protocol.edition import Edition
from edge.protocol.message import Message
from edge.protocol.values import Epoch, Mark, Seal

ALL: Final = "all"
SELECTED: Final = "selected"

Version = Annotated[int, Meta(ge=0, description="a whole number, 0 or more")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a whole number from 1 to 65535")]
PORTS = "a pair [first, last] of ports from 1 to 65535"
PortRange = Annotated[tuple[Port, Port], Meta(description=PORTS)]
EchoKey = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2})*\Z", description="hexadecimal")]
Kbps = Annotated[int, Meta(ge=1, description="a whole number, 1 or more")]
PublicKey = Annotated[str, Meta(description="an Ed25519 public key in PEM")]
# True and false for enabled and disabled: as consoles before 0.2 wrote them, and files on disk hold them since.
ServerState = Annotated[
    Literal["enabled", "draining", "disabled"] | bool, Meta(description="enabled, draining or disabled")
]
# States of a server that may be given new flows, and of one that may keep the flows that it has.
OPEN = ("enabled", True)
ALLOWED = (*OPEN, "draining")
Scope = Literal["all", "selected"]


# -- Both have


class UpgradeOrder(Message, frozen=True):
    """Order to install a version, followed once. `wheel`: a file's name; `sha256`: of the wheel, in hexadecimal.

    `health_seconds`: how long the new version has to become healthy before the machine goes back.
    """

    order: str
    version: str
    wheel: str
    sha256: str
    health_seconds: float


# -- A gateway's


class Gateway(Message, frozen=True):
    """Gateway that works by the configuration. `listen`: address of both ports; `public_host`: host that clients dial.

    `echo_key` signs the probes of the way here (`edge.protocol.echo`); empty means that none is answered.
    """

    id: str
    name: str
    area: str
    area_name: str
    region: str
    listen: str
    client_port: Port
    tunnel_port: Port
    public_host: str
    echo_key: EchoKey = ""

    def __repr__(self) -> str:
        """Name the gateway without its key: a log must not hold it."""
        return f"Gateway({self.id!r})"


class Instance(Message, frozen=True, kw_only=True):
    """Instance that users log on to. `cloud_networks`: CIDRs that gateways of its area reach without a connector.

    `ccn`: the cloud connection network that the instance is bound to; none means that it has no cloud networks.
    """

    area: str
    active: bool
    ccn: str | None = None
    cloud_networks: Sequence[str]


class Connector(Message, frozen=True):
    """Connector of the console. `servers`: id → enabled, draining (keeps its flows, is given no new ones) or disabled.

    Gateways pass over every policy of a connector that is not `enabled` and `licensed`.
    """

    name: str
    enabled: bool
    licensed: bool
    servers: Mapping[str, ServerState]

    @property
    def has_open_server(self) -> bool:
        """Tell whether a server of the connector may be given new flows."""
        return any(state in OPEN for state in self.servers.values())


class Application(Message, frozen=True):
    """Enabled application. `addresses`: names, ``*.`` wildcards, IP addresses, CIDRs; `protocol`: TCP, UDP, All.

    Flows are TCP connections, so that an application by UDP alone never matches.
    """

    name: str
    addresses: Sequence[str]
    ports: Sequence[PortRange]
    protocol: str


class Policy(Message, frozen=True):
    """Enabled forwarding policy. `groups` and `accounts` count where `users` says selected, `application_ids` likewise.

    A group or an application that the configuration does not hold may be named, and matches nothing.
    """

    id: str
    name: str
    priority: int
    users: Scope
    groups: Sequence[str]
    accounts: Sequence[str]
    applications: Scope
    application_ids: Sequence[str]
    connector: str


class GatewayConfiguration(Message, frozen=True, kw_only=True):
    """Configuration of a gateway, by which it decides every flow.

    `epoch`: of `version` and `servers_version`; `seal`: sent back with each poll. Both empty from release 0.1.
    `servers_version`: of the configuration that connector servers should work by; 0 from a console that does not say.
    `session_keys`: key id → PEM. `offline_seconds`: how long after the console's last word users are still let in.
    `ended_sessions`: session → reason, until the session's token expires; `ends`: mark of the last end that is in it,
    sent back with each poll; empty from release 0.1. `groups`: group → accounts.
    `bandwidth`: account → kbit/s, of accounts whose tokens say something else. `policies`: in evaluation order.
    `upgrade`: none unless a version is to be installed.
    """

    version: Version
    epoch: Epoch = ""
    seal: Seal = ""
    servers_version: Version = 0
    gateway: Gateway
    session_keys: Mapping[str, PublicKey]
    offline_seconds: float
    instances: Mapping[str, Instance]
    ended_sessions: Mapping[str, str]
    ends: Mark = ""
    bandwidth: Mapping[str, Kbps] = {}
    connectors: Mapping[str, Connector]
    applications: Mapping[str, Application]
    groups: Mapping[str, Sequence[str]] = {}
    policies: Sequence[Policy]
    upgrade: UpgradeOrder | None = None

    @property
    def edition(self) -> Edition:
        """Place in the console's history."""
        return Edition(self.epoch, self.version)


# -- A connector server's


class Server(Message, frozen=True):
    """Server that works by the configuration; one that is not `enabled` hangs up and measures nothing."""

    id: str
    enabled: bool


class OwnConnector(Message, frozen=True):
    """Connector that the server belongs to."""

    id: str
    name: str
    enabled: bool


class DialledGateway(Message, frozen=True):
    """Gateway to keep tunnels to. `port`: for tunnels by TCP, and for probes by UDP, which `echo_key` signs."""

    id: str
    host: str
    port: Port
    echo_key: EchoKey = ""

    def __repr__(self) -> str:
        """Name the gateway without its key: a log must not hold it."""
        return f"DialledGateway({self.id!r})"


class ServedApplication(Message, frozen=True):
    """Application that flows end at. `origin`: ``host`` or ``host:port`` to dial in place of the address."""

    id: str
    name: str
    addresses: Sequence[str]
    ports: Sequence[PortRange]
    origin: str | None = None


class ServerConfiguration(Message, frozen=True, kw_only=True):
    """Configuration of a connector server: whom to dial, and what to serve.

    `upgrade`: none unless a version is to be installed. `logs`: id of the log export that waits for this server, or
    none. `epoch`, `seal`: as a gateway's; the seal is sent back with each report.
    """

    version: Version
    epoch: Epoch = ""
    seal: Seal = ""
    server: Server
    connector: OwnConnector
    gateways: Sequence[DialledGateway]
    applications: Sequence[ServedApplication]
    upgrade: UpgradeOrder | None = None
    logs: str | None = None

    @property
    def edition(self) -> Edition:
        """Place in the console's history."""
        return Edition(self.epoch, self.version)
