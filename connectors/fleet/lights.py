"""Lights of a connector's servers: process, tunnels, configuration and destinations, each with when it was known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import F, FilteredRelation, Q
from django.utils import timezone

from connectors.fleet.models.connectors import Connector, Server, Tunnel
from connectors.telemetry import comparison, store
from connectors.telemetry.models import Latest
from console.core.models.version import ConfigVersion
from console.kit.windows import Window
from console.machines import clones, epochs
from console.machines.models.machines import SILENT_AFTER
from console.models import AgentStart, Gateway


@dataclass(frozen=True)
class Light:
    """Badge of a server: kind and word, when that was known, and what it is of (a gateway, a version)."""

    kind: Literal["success", "warning", "error", "notice", "muted"]
    word: str
    at: datetime | None = None
    of: str = ""


@dataclass(frozen=True)
class Way:
    """Way of a server to a gateway; None what was not measured. ``by``: UDP, TCP or nothing."""

    gateway: str
    latency_ms: float | None
    loss_percent: float | None
    by: str


@dataclass(frozen=True)
class ServerStatus:
    """Lights of one server. ``latest``: its newest sample while fresh; ``doubted``: gateways counted other bytes.

    ``copies``: machines that work by the server's identity, where there are two or more.
    """

    server: Server
    process: Light
    tunnels: list[Light]
    configuration: Light
    destinations: Light
    latest: Latest | None
    doubted: bool
    ways: list[Way]
    copies: Sequence[AgentStart] = ()


def server_statuses(
    connector: Connector, now: ConfigVersion, shown: Window | None = None
) -> list[ServerStatus]:
    """Return every server of a connector with its lights. Run two queries, however many servers there are.

    One query more reads the copies of servers that have any.

    ``shown``: the time of charts for which the servers are read ``comparison.with_doubts``.
    """
    known = connector.servers.select_related("latest").annotate(
        doubted=comparison.is_doubted(), contested=clones.contested()
    )
    servers = list(comparison.with_doubts(known, shown.start, shown.end) if shown else known)
    gateways, tunnels = _gateways_and_tunnels([server.pk for server in servers]) if servers else ([], {})
    copies = clones.copies() if any(getattr(server, "contested", False) for server in servers) else {}
    return [
        ServerStatus(
            server=server,
            process=_process(server),
            tunnels=[_tunnel(gateway, tunnels.get((server.pk, gateway.pk))) for gateway in gateways],
            configuration=_configuration(server, now),
            destinations=_destinations(server),
            latest=store.latest_of(server),
            doubted=getattr(server, "doubted", False),
            ways=_ways(server, gateways),
            copies=copies.get(server.pk, ()),
        )
        for server in servers
    ]


def _gateways_and_tunnels(servers: Sequence[str]) -> tuple[list[Gateway], dict[tuple[str, str], Tunnel]]:
    """Return enrolled gateways by name, and by (server, gateway) their tunnels to ``servers``. Run one query."""
    of_them = Q(tunnels__server__in=servers)
    rows = (
        Gateway.objects.filter(enrolled_at__isnull=False)
        .annotate(reported=FilteredRelation("tunnels", condition=of_them))
        .annotate(to=F("reported__server_id"), number=F("reported__count"), seen=F("reported__seen_at"))
        .order_by("name__fold", "pk")
    )
    gateways: dict[str, Gateway] = {}
    tunnels = {}
    for row in rows:
        gateway = gateways.setdefault(row.pk, row)
        if row.to is not None:
            tunnels[row.to, row.pk] = Tunnel(
                gateway=gateway, server_id=row.to, count=row.number, seen_at=row.seen
            )
    return list(gateways.values()), tunnels


def _tunnel(gateway: Gateway, tunnel: Tunnel | None) -> Light:
    """Say what a gateway reports of its tunnels to a server; a gateway that is not heard of cannot report any."""
    if not gateway.is_heard:
        return Light("muted", "Gateway not reached", gateway.heard_at, gateway.name)
    if tunnel is None or not tunnel.count or timezone.now() - tunnel.seen_at > SILENT_AFTER:
        return Light("error", "No tunnel", gateway.heard_at, gateway.name)
    word = f"{tunnel.count} tunnel{'s' if tunnel.count != 1 else ''}"
    return Light("success", word, tunnel.seen_at, gateway.name)


def _process(server: Server) -> Light:
    if server.heard_at is None:
        return Light("muted", "Not heard yet")
    if not server.is_heard:
        return Light("error", "Not running", server.heard_at)
    if server.envoy_state and server.envoy_state != "running":
        return Light("warning", f"Envoy {server.envoy_state}", server.heard_at)
    return Light("success", "Running", server.heard_at)


def _destinations(server: Server) -> Light:
    """Say whether the applications' hosts took a connection when the server last tried; fresh like its samples."""
    latest = store.latest_of(server)
    if latest is None or latest.told_at is None or not latest.destinations:
        return Light("muted", "—")
    missing = [f"{each['host']}:{each['port']}" for each in latest.destinations if not each["reached"]]
    count = len(latest.destinations)
    if not missing:
        return Light("success", f"{count} of {count} reached", latest.told_at)
    kind: Literal["warning", "error"] = "warning" if len(missing) < count else "error"
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return Light(kind, f"{count - len(missing)} of {count} reached", latest.told_at, f"not {shown}")


def _ways(server: Server, gateways: list[Gateway]) -> list[Way]:
    latest = store.latest_of(server)
    told = {path["gateway"]: path for path in latest.paths} if latest is not None else {}
    return [
        Way(gateway.name, path["latency_ms"], path["loss_percent"], path["by"].upper())
        for gateway in gateways
        if (path := told.get(gateway.pk)) is not None
    ]


def _configuration(server: Server, now: ConfigVersion) -> Light:
    """Compare a server's version with the wanted one; the light is as old as the server's work by its version."""
    version = f"version {server.applied_version}"
    match epochs.standing(now, "servers_version", server):
        case epochs.Standing.UNKNOWN:
            return Light("muted", "—")
        case epochs.Standing.FOREIGN:
            return Light("error", "Another history", server.applied_at, version)
        case epochs.Standing.BEHIND:
            return Light("warning", "Behind", server.applied_at, f"{version} of {now.servers_version}")
    return Light("success", "Current", server.applied_at, version)
