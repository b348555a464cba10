"""A gateway's configuration, compiled once so that each decision only touches what can match.

Policies are bits of integers: bit ``n`` is the policy at place ``n`` of the evaluation order. Which policies fit a
user and which fit an application are two look-ups; the first that fits both and whose connector is usable is the
lowest bit of ``users & applications & usable``. What cannot match costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge.hosts import Host, HostInvalid, parse_network
from edge.matching import Application, ApplicationIndex, PrefixTable

ENABLED, DRAINING, DISABLED = "enabled", "draining", "disabled"
Tunnels = Mapping[tuple[str, str], int]  # (connector id, server id) → number of live tunnels of one gateway


class SnapshotInvalid(ValueError):
    """The document cannot be used; the text is a sentence naming the field."""


@dataclass(frozen=True, slots=True)
class Gateway:
    id: str
    name: str
    area: str
    area_name: str
    region: str
    listen: str
    client_port: int
    tunnel_port: int
    public_host: str
    # Another key is no reason to start Envoy anew.
    echo_key: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Connector:
    """``servers``: id → enabled, draining (keeps its flows, is given no new ones) or disabled."""

    id: str
    name: str
    enabled: bool
    licensed: bool
    servers: Mapping[str, str]

    @property
    def has_open_server(self) -> bool:
        return ENABLED in self.servers.values()


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    name: str
    priority: int
    connector: str
    all_users: bool
    all_applications: bool


@dataclass(frozen=True, slots=True)
class Instance:
    id: str
    area: str
    active: bool
    ccn: str | None
    cloud_networks: tuple[str, ...]
    networks: PrefixTable = field(repr=False, compare=False)

    def cloud_network(self, host: Host) -> str | None:
        """The cloud network an IP destination lies in, if any."""
        return next(self.networks.find(host), None) if host.family else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The compiled configuration. ``with_online`` gives a copy that shares everything but the connectors' state."""

    version: int
    gateway: Gateway
    session_keys: Mapping[str, Ed25519PublicKey]
    offline_seconds: float
    instances: Mapping[str, Instance]
    ended_sessions: Mapping[str, str]
    connectors: Mapping[str, Connector]
    policies: tuple[Policy, ...]
    applications: ApplicationIndex = field(repr=False)
    any_user_mask: int = field(repr=False)
    account_masks: Mapping[str, int] = field(repr=False)
    any_application_mask: int = field(repr=False)
    application_masks: Mapping[str, int] = field(repr=False)
    # By which configuration connector servers should work; 0 from a console that does not say
    servers_version: int = 0
    # kbit/s of the accounts whose tokens say something else; all others have what their token says
    bandwidth: Mapping[str, int] = field(default_factory=dict, repr=False)
    online: frozenset[str] = frozenset()
    usable_mask: int = field(default=0, repr=False)

    @classmethod
    def compile(cls, document: Any) -> Snapshot:
        """Check a snapshot document (docs/architecture.md) and index it. Raises SnapshotInvalid with a sentence."""
        return _compile(document)

    def with_online(self, online: frozenset[str]) -> Snapshot:
        """The same configuration with these connectors having at least one live tunnel."""
        usable = 0
        for place, policy in enumerate(self.policies):
            connector = self.connectors.get(policy.connector)
            if connector and connector.enabled and connector.licensed and connector.id in online:
                usable |= 1 << place
        return replace(self, online=online, usable_mask=usable)

    def server_allowed(self, server: str, connector: str) -> bool:
        """Whether a machine may hold tunnels and carry flows: not disabled, and known as that connector's."""
        return self._server_state(server, connector) in (ENABLED, DRAINING)

    def server_open(self, server: str, connector: str) -> bool:
        """Whether it may be given new flows as well."""
        return self._server_state(server, connector) == ENABLED

    def open_servers(self, connector: str, tunnels: Tunnels) -> list[str]:
        """The connector's servers that may be given a new flow by a gateway with these tunnels."""
        live = (server for (owner, server), count in tunnels.items() if owner == connector and count > 0)
        return [server for server in live if self.server_open(server, connector)]

    def online_by(self, tunnels: Tunnels) -> frozenset[str]:
        """The connectors that are online to it: a tunnel counts when its server is theirs and takes new flows."""
        return frozenset(c for (c, s), count in tunnels.items() if count > 0 and self.server_open(s, c))

    def _server_state(self, server: str, connector: str) -> str | None:
        owner = self.connectors.get(connector)
        return owner.servers.get(server) if owner else None


def _need(owner: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = owner.get(name)
    # bool is an int to Python, but `"version": true` is no version
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = {
            str: "a text",
            bool: "true or false",
            int: "a whole number",
            dict: "an object",
            list: "a list",
        }
        expected = wanted[kind] if isinstance(kind, type) else "a number"
        raise SnapshotInvalid(f"{where}{name} must be {expected}.")
    return value


def _texts(owner: Any, name: str, where: str) -> list[str]:
    values = _need(owner, name, list, where)
    if not all(isinstance(value, str) for value in values):
        raise SnapshotInvalid(f"{where}{name} must be a list of texts.")
    return list(values)


def _objects(document: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in _need(document, name, dict, "").items():
        if not isinstance(value, dict):
            raise SnapshotInvalid(f"{name}.{key} must be an object.")
        yield key, value


def _compile(document: Any) -> Snapshot:
    if not isinstance(document, dict):
        raise SnapshotInvalid("The snapshot must be an object.")
    version = _need(document, "version", int, "")
    if version < 0:
        raise SnapshotInvalid("version must be 0 or more.")
    policies, masks = _policies(document)
    snapshot = Snapshot(
        version=version,
        servers_version=_need(document, "servers_version", int, "") if "servers_version" in document else 0,
        gateway=_gateway(_need(document, "gateway", dict, "")),
        session_keys={kid: _key(kid, pem) for kid, pem in _need(document, "session_keys", dict, "").items()},
        offline_seconds=float(_need(document, "offline_seconds", (int, float), "")),
        instances={key: _instance(key, value) for key, value in _objects(document, "instances")},
        ended_sessions=_ended(document),
        connectors={key: _connector(key, value) for key, value in _objects(document, "connectors")},
        policies=policies,
        applications=_applications(document),
        any_user_mask=masks.any_user,
        account_masks=masks.accounts,
        any_application_mask=masks.any_application,
        application_masks=masks.applications,
        bandwidth=_bandwidth(document),
    )
    return snapshot.with_online(frozenset())


def _gateway(section: dict[str, Any]) -> Gateway:
    where = "gateway."
    texts = {
        name: _need(section, name, str, where)
        for name in ("id", "name", "area", "area_name", "region", "listen", "public_host")
    }
    ports = {name: _need(section, name, int, where) for name in ("client_port", "tunnel_port")}
    for name, port in ports.items():
        if not 1 <= port <= 65535:
            raise SnapshotInvalid(f"{where}{name} must be from 1 to 65535.")
    key = section.get("echo_key", "")
    if not isinstance(key, str) or not re.fullmatch(r"(?:[0-9a-f]{2})*", key):
        raise SnapshotInvalid(f"{where}echo_key must be hexadecimal.")
    return Gateway(**texts, **ports, echo_key=key)


def _key(kid: str, pem: Any) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (AttributeError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SnapshotInvalid(f"session_keys.{kid} must be an Ed25519 public key in PEM.")
    return key


def _instance(key: str, section: dict[str, Any]) -> Instance:
    where = f"instances.{key}."
    networks = PrefixTable()
    texts = _texts(section, "cloud_networks", where)
    for text in texts:
        try:
            networks.slot(parse_network(text), text)
        except HostInvalid as error:
            raise SnapshotInvalid(f"{where}cloud_networks: {error}") from None
    ccn = section.get("ccn")
    if ccn is not None and not isinstance(ccn, str):
        raise SnapshotInvalid(f"{where}ccn must be a text or null.")
    area, active = _need(section, "area", str, where), _need(section, "active", bool, where)
    return Instance(key, area, active, ccn, tuple(texts), networks)


def _ended(document: Any) -> dict[str, str]:
    ended: dict[str, str] = _need(document, "ended_sessions", dict, "")
    for session, reason in ended.items():
        if not isinstance(reason, str):
            raise SnapshotInvalid(f"ended_sessions.{session} must be a text.")
    return dict(ended)


def _bandwidth(document: Any) -> dict[str, int]:
    if "bandwidth" not in document:  # a configuration kept on disk since before there were caps
        return {}
    for account in _need(document, "bandwidth", dict, ""):
        if _need(document["bandwidth"], account, int, "bandwidth.") < 1:
            raise SnapshotInvalid(f"bandwidth.{account} must be 1 or more.")
    return dict(document["bandwidth"])


def _connector(key: str, section: dict[str, Any]) -> Connector:
    where = f"connectors.{key}."
    servers = {
        server: _server(state, f"{where}servers.{server}")
        for server, state in _need(section, "servers", dict, where).items()
    }
    return Connector(
        key,
        _need(section, "name", str, where),
        _need(section, "enabled", bool, where),
        _need(section, "licensed", bool, where),
        servers,
    )


def _server(state: Any, where: str) -> str:
    if isinstance(state, bool):  # as consoles before 0.2 wrote it, and configurations kept on disk since
        return ENABLED if state else DISABLED
    if state not in (ENABLED, DRAINING, DISABLED):
        raise SnapshotInvalid(f"{where} must be enabled, draining or disabled.")
    return str(state)


def _applications(document: Any) -> ApplicationIndex:
    index = ApplicationIndex()
    for key, section in _objects(document, "applications"):
        where = f"applications.{key}."
        application = Application(
            key,
            _need(section, "name", str, where),
            tuple(_texts(section, "addresses", where)),
            _ports(section, where),
            _need(section, "protocol", str, where),
        )
        try:
            if (
                application.protocol.upper() != "UDP"
            ):  # a flow is a TCP connection: UDP applications never match
                index.add(application)
        except HostInvalid as error:
            raise SnapshotInvalid(f"{where}addresses: {error}") from None
    return index


def _ports(section: dict[str, Any], where: str) -> tuple[tuple[int, int], ...]:
    ports = []
    for pair in _need(section, "ports", list, where):
        numbers = isinstance(pair, list) and len(pair) == 2 and all(type(port) is int for port in pair)
        if not numbers or not 1 <= pair[0] <= pair[1] <= 65535:
            raise SnapshotInvalid(f"{where}ports must be pairs [first, last] from 1 to 65535.")
        ports.append((pair[0], pair[1]))
    return tuple(ports)


@dataclass(slots=True)
class _Masks:
    any_user: int = 0
    any_application: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    applications: dict[str, int] = field(default_factory=dict)


def _policies(document: Any) -> tuple[tuple[Policy, ...], _Masks]:
    groups = {
        key: _texts(_need(document, "groups", dict, ""), key, "groups.")
        for key in document.get("groups") or ()
    }
    masks, policies = _Masks(), []
    by_group: dict[str, int] = {}
    for place, section in enumerate(_need(document, "policies", list, "")):
        where, bit = f"policies[{place}].", 1 << place
        if not isinstance(section, dict):
            raise SnapshotInvalid(f"policies[{place}] must be an object.")
        policy = _policy(section, where)
        policies.append(policy)
        if policy.all_users:
            masks.any_user |= bit
        else:
            _set(masks.accounts, _texts(section, "accounts", where), bit)
            _set(by_group, _texts(section, "groups", where), bit)
        if policy.all_applications:
            masks.any_application |= bit
        else:
            _set(masks.applications, _texts(section, "application_ids", where), bit)
    for group, bits in by_group.items():
        _set(masks.accounts, groups.get(group, ()), bits)
    return tuple(policies), masks


def _set(table: dict[str, int], keys: Iterable[str], bits: int) -> None:
    for key in keys:
        table[key] = table.get(key, 0) | bits


def _policy(section: dict[str, Any], where: str) -> Policy:
    scopes = {}
    for name in ("users", "applications"):
        scopes[name] = _need(section, name, str, where)
        if scopes[name] not in ("all", "selected"):
            raise SnapshotInvalid(f"{where}{name} must be all or selected.")
    return Policy(
        _need(section, "id", str, where),
        _need(section, "name", str, where),
        _need(section, "priority", int, where),
        _need(section, "connector", str, where),
        scopes["users"] == "all",
        scopes["applications"] == "all",
    )
