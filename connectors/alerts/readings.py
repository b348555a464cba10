"""Readings of everything that is watched, in a fixed number of queries, however many servers there are."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.alerts.kinds import KINDS
from connectors.alerts.models import Alert
from connectors.fleet.models.connectors import Server, heard_within
from connectors.fleet.selectors import live_tunnels
from connectors.telemetry import comparison, store
from connectors.telemetry.models import Latest
from console.core.models.version import ConfigVersion
from console.machines import clones, config, epochs
from console.machines.models.machines import SILENT_AFTER
from console.models import Gateway

Key = tuple[str, str]  # (kind, id of the server or gateway)


@dataclass(frozen=True)
class Reading:
    """Value of one type for one machine; None: not known. ``watched``: whether it matters, the rule's switch aside.

    ``mark``: for drift, the version that the machine should work by.
    """

    kind: str
    subject_kind: str
    subject: str
    subject_name: str
    connector: str | None
    connector_name: str
    value: float | None
    watched: bool = True
    mark: int | None = None

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@dataclass(frozen=True)
class World:
    """State of all machines, fetched at once, from which the measures below are read."""

    now: datetime
    servers: list[Server]
    latest: Mapping[str, Latest]
    tunnelled: set[str]
    gateways: list[Gateway]
    gateways_heard: bool
    wanted: ConfigVersion
    marks: Mapping[Key, int]
    doubted: set[str]
    cloned: Collection[str]


def world(now: datetime, open_alerts: Iterable[Alert]) -> World:
    """Fetch the world. Run seven queries, however many servers there are."""
    gateways = list(Gateway.objects.filter(enrolled_at__isnull=False))
    servers = list(Server.objects.select_related("connector"))
    return World(
        now=now,
        servers=servers,
        latest=store.latest([server.pk for server in servers], now),
        tunnelled=set(live_tunnels(now).values_list("server_id", flat=True)),
        gateways=gateways,
        gateways_heard=any(_heard(gateway, now) for gateway in gateways),
        wanted=config.current(),
        doubted=comparison.doubted(now),
        cloned=clones.copies(now).keys(),
        marks={(a.kind, a.subject): a.mark for a in open_alerts if a.mark is not None},
    )


def _heard(gateway: Gateway, now: datetime) -> bool:
    return gateway.heard_at is not None and now - gateway.heard_at < SILENT_AFTER


def _server_heard(server: Server, now: datetime) -> bool:
    return server.heard_at is not None and now - server.heard_at < heard_within()


def connection(server: Server, world: World) -> float | None:
    """Return 1 when users cannot come through; None for a server never heard of, or while no gateway is heard of."""
    if server.heard_at is None:
        return None
    if not _server_heard(server, world.now):
        return 1.0
    if server.pk in world.tunnelled:
        return 0.0
    return 1.0 if world.gateways_heard else None


def bandwidth(server: Server, world: World) -> float | None:
    """Return Mbit/s of the newest sample, receive or send, whichever is more."""
    newest = world.latest.get(server.pk)
    if newest is None:
        return None
    rate = store.rate(newest)
    return max(rate.receive, rate.send) / 1e6


def latency(server: Server, world: World) -> float | None:
    newest = world.latest.get(server.pk)
    return None if newest is None else newest.latency_ms


def certificate(machine: Server | Gateway, heard: bool, now: datetime) -> float | None:
    """Return the hours until the certificate ends, below 0 after its end; None for a machine not heard of."""
    if machine.certificate_ends_at is None or not heard:
        return None
    return (machine.certificate_ends_at - now).total_seconds() / 3600


def figures(server: Server, world: World) -> float | None:
    """Return 1 while the server's figures and the bytes that gateways counted are far apart."""
    return float(server.pk in world.doubted)


SERVER_MEASURES: dict[str, Callable[[Server, World], float | None]] = {
    "connection": connection,
    "bandwidth": bandwidth,
    "latency": latency,
    "figures": figures,
}


def drift(applied: int | None, heard: bool, mark: int) -> float | None:
    """Return 1 while a machine that is heard of works by an older version than ``mark``."""
    if not heard or applied is None:
        return None
    return 1.0 if applied < mark else 0.0


def history(world: World, counter: epochs.Counter, machine: Server | Gateway, heard: bool) -> float | None:
    """Return 1 while a machine that is heard of works by a configuration that is not of the console's history."""
    if not heard or machine.applied_version is None:
        return None
    return float(epochs.standing(world.wanted, counter, machine) is epochs.Standing.FOREIGN)


def read(world: World) -> Iterator[Reading]:
    """Read every type for every server and gateway that the type concerns."""
    for server in world.servers:
        # Switched off on purpose, a server needs no alert.
        watched = server.enabled and server.connector.enabled
        names = (server.pk, str(server), server.connector_id, server.connector.name)
        for kind, measure in SERVER_MEASURES.items():
            yield Reading(kind, "server", *names, measure(server, world), watched)
        heard = _server_heard(server, world.now)
        yield Reading("certificate", "server", *names, certificate(server, heard, world.now), watched)
        # Compare with the version wanted when the server fell behind: newer versions may come all the time.
        mark = world.marks.get(("drift", server.pk), world.wanted.servers_version)
        yield Reading("drift", "server", *names, drift(server.applied_version, heard, mark), watched, mark)
        yield Reading("history", "server", *names, history(world, "servers_version", server, heard), watched)
        yield Reading("clone", "server", *names, float(server.pk in world.cloned))
    for gateway in world.gateways:
        of = (gateway.pk, gateway.name, None, "")
        heard = _heard(gateway, world.now)
        yield Reading("certificate", "gateway", *of, certificate(gateway, heard, world.now))
        mark = world.marks.get(("drift", gateway.pk), world.wanted.version)
        yield Reading("drift", "gateway", *of, drift(gateway.applied_version, heard, mark), mark=mark)
        yield Reading("history", "gateway", *of, history(world, "version", gateway, heard))
        yield Reading("clone", "gateway", *of, float(gateway.pk in world.cloned))


def shown(kind: str, value: float | None) -> str:
    """Write a value with its unit, such as "12.3 Mbit/s"; empty for types without a unit."""
    unit = KINDS[kind].unit
    if unit is None or value is None:
        return ""
    digits = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}"
