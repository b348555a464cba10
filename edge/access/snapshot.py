"""Configuration of a gateway, compiled once so that each decision only touches what can match.

Policies are bits of integers: bit ``n`` is the policy at place ``n`` of the evaluation order. Which policies fit a
user and which fit an application are two look-ups; the first that fits both and whose connector is usable is the
lowest bit of ``users & applications & usable``. What cannot match costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge.access.hosts import Host, HostInvalid, parse_network
from edge.access.matching import Application, ApplicationIndex, PrefixTable
from edge.protocol.configuration import (
    ALL,
    ALLOWED,
    OPEN,
    PORTS,
    Connector,
    Gateway,
    GatewayConfiguration,
    Policy,
    UpgradeOrder,
)
from edge.protocol.configuration import Application as GivenApplication
from edge.protocol.configuration import Instance as GivenInstance
from edge.protocol.edition import Edition
from edge.protocol.message import MessageInvalid

Tunnels = Mapping[tuple[str, str], int]  # (connector id, server id) → number of live tunnels of one gateway


@dataclass(frozen=True, slots=True)
class Instance:
    """Instance as the configuration gives it, with a look-up of its cloud networks."""

    id: str
    area: str
    active: bool
    ccn: str | None
    networks: PrefixTable = field(repr=False, compare=False)

    def cloud_network(self, host: Host) -> str | None:
        """Find the cloud network that an IP destination lies in, if any."""
        return next(self.networks.find(host), None) if host.family else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Compiled configuration. ``with_online`` gives a copy that shares everything but the connectors' state."""

    version: int
    gateway: Gateway
    session_keys: Mapping[str, Ed25519PublicKey]
    offline_seconds: float
    instances: Mapping[str, Instance]
    ended_sessions: Mapping[str, str]
    ends: str = field(repr=False)
    connectors: Mapping[str, Connector]
    policies: Sequence[Policy]
    applications: ApplicationIndex = field(repr=False)
    any_user_mask: int = field(repr=False)
    account_masks: Mapping[str, int] = field(repr=False)
    any_application_mask: int = field(repr=False)
    application_masks: Mapping[str, int] = field(repr=False)
    servers_version: int
    epoch: str
    seal: str = field(repr=False)
    bandwidth: Mapping[str, int] = field(repr=False)
    upgrade: UpgradeOrder | None = None
    online: frozenset[str] = frozenset()
    usable_mask: int = field(default=0, repr=False)

    @property
    def edition(self) -> Edition:
        """Place in the console's history."""
        return Edition(self.epoch, self.version)

    @classmethod
    def compile(cls, given: GatewayConfiguration) -> Snapshot:
        """Index a configuration, and check what its types do not say. Raise `MessageInvalid` with a sentence."""
        masks = _masks(given)
        snapshot = cls(
            version=given.version,
            epoch=given.epoch,
            seal=given.seal,
            servers_version=given.servers_version,
            gateway=given.gateway,
            session_keys={kid: _key(kid, pem) for kid, pem in given.session_keys.items()},
            offline_seconds=given.offline_seconds,
            instances={key: _instance(key, each) for key, each in given.instances.items()},
            ended_sessions=given.ended_sessions,
            ends=given.ends,
            connectors=given.connectors,
            policies=given.policies,
            applications=_applications(given.applications),
            any_user_mask=masks.any_user,
            account_masks=masks.accounts,
            any_application_mask=masks.any_application,
            application_masks=masks.applications,
            bandwidth=given.bandwidth,
            upgrade=given.upgrade,
        )
        return snapshot.with_online(frozenset())

    def with_online(self, online: frozenset[str]) -> Snapshot:
        """Copy the configuration, with these connectors having at least one live tunnel."""
        usable = 0
        for place, policy in enumerate(self.policies):
            connector = self.connectors.get(policy.connector)
            if connector and connector.enabled and connector.licensed and policy.connector in online:
                usable |= 1 << place
        return replace(self, online=online, usable_mask=usable)

    def with_ended(self, ended: Mapping[str, str], ends: str) -> Snapshot:
        """Copy the configuration, with these sessions ended as well; ``ends``: mark of the last of them."""
        return replace(self, ended_sessions={**self.ended_sessions, **ended}, ends=ends)

    def server_allowed(self, server: str, connector: str) -> bool:
        """Tell whether a server may hold tunnels and carry flows: not disabled, and known as that connector's."""
        return self._server_state(server, connector) in ALLOWED

    def server_open(self, server: str, connector: str) -> bool:
        """Tell whether a server may be given new flows as well."""
        return self._server_state(server, connector) in OPEN

    def open_servers(self, connector: str, tunnels: Tunnels) -> list[str]:
        """Return the connector's servers that may be given a new flow by a gateway with these tunnels."""
        live = (server for (owner, server), count in tunnels.items() if owner == connector and count > 0)
        return [server for server in live if self.server_open(server, connector)]

    def online_by(self, tunnels: Tunnels) -> frozenset[str]:
        """Return the connectors of which a server that takes new flows has one of these tunnels."""
        return frozenset(c for (c, s), count in tunnels.items() if count > 0 and self.server_open(s, c))

    def _server_state(self, server: str, connector: str) -> str | bool | None:
        owner = self.connectors.get(connector)
        return owner.servers.get(server) if owner else None


def _key(kid: str, pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise MessageInvalid(f"session_keys.{kid} must be an Ed25519 public key in PEM.")
    return key


def _instance(key: str, given: GivenInstance) -> Instance:
    networks = PrefixTable()
    for text in given.cloud_networks:
        try:
            networks.slot(parse_network(text), text)
        except HostInvalid as error:
            raise MessageInvalid(f"instances.{key}.cloud_networks: {error}") from None
    return Instance(key, given.area, given.active, given.ccn, networks)


def _applications(given: Mapping[str, GivenApplication]) -> ApplicationIndex:
    index = ApplicationIndex()
    for key, each in given.items():
        for place, (first, last) in enumerate(each.ports):
            if first > last:
                raise MessageInvalid(f"applications.{key}.ports[{place}] must be {PORTS}.")
        if each.protocol.upper() == "UDP":  # a flow is a TCP connection: UDP applications never match
            continue
        try:
            index.add(Application(key, each.name, tuple(each.ports)), each.addresses)
        except HostInvalid as error:
            raise MessageInvalid(f"applications.{key}.addresses: {error}") from None
    return index


@dataclass(slots=True)
class _Masks:
    any_user: int = 0
    any_application: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    applications: dict[str, int] = field(default_factory=dict)


def _masks(given: GatewayConfiguration) -> _Masks:
    """Give each policy's bit to every account and application that the policy names."""
    masks = _Masks()
    by_group: dict[str, int] = {}
    for place, policy in enumerate(given.policies):
        bit = 1 << place
        if policy.users == ALL:
            masks.any_user |= bit
        else:
            _set(masks.accounts, policy.accounts, bit)
            _set(by_group, policy.groups, bit)
        if policy.applications == ALL:
            masks.any_application |= bit
        else:
            _set(masks.applications, policy.application_ids, bit)
    for group, bits in by_group.items():
        _set(masks.accounts, given.groups.get(group, ()), bits)
    return masks


def _set(table: dict[str, int], keys: Iterable[str], bits: int) -> None:
    for key in keys:
        table[key] = table.get(key, 0) | bits
