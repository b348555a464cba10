"""Reads that pages, APIs and alerts share: who is online, what was cut, how a server is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import (
    Count,
    Exists,
    F,
    FilteredRelation,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from connectors.models import Application, Connector, Latest, Policy, Server, Tunnel
from connectors.models.connectors import heard_within
from connectors.telemetry import store
from console.models import Cutover, CutoverConfirmation, Gateway
from console.models.machines import SILENT_AFTER
from roaming.models import Flow

# How long a list goes on telling of a cut; the details tell of the last one for good.
RECENT = timedelta(minutes=5)


def live_tunnels(now: datetime | None = None) -> QuerySet[Tunnel]:
    """Tunnels that their gateway reported lately, itself being heard of: what an old word says is not known."""
    since = (now or timezone.now()) - SILENT_AFTER
    heard = (
        Gateway.objects.filter(heard_at__gt=since).order_by().values("pk")
    )  # few: no join to them row by row
    return Tunnel.objects.filter(count__gt=0, seen_at__gt=since, gateway__in=heard)


def count_of(rows: QuerySet, by: str) -> Any:
    """The number of ``rows`` for each ``by``, as a subquery, so that one count does not multiply another."""
    counted = rows.order_by().values(by).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def connectors_with_status() -> QuerySet[Connector]:
    """Connectors with ``online``, ``servers_all``, ``servers_running``, ``policies_count``, ``applications_count`` and
    ``all_applications``, in one query.

    Online: at least one enabled server has a live tunnel on at least one gateway. Applications are those that enabled
    policies send through it, by name or by tag.
    """
    servers = Server.objects.filter(connector=OuterRef("pk"))
    running = servers.filter(heard_at__gt=timezone.now() - heard_within())
    return Connector.objects.select_related("region").annotate(
        online=Exists(_tunnels_of(OuterRef("pk"))),
        servers_all=count_of(servers, "connector"),
        servers_running=count_of(running, "connector"),
        policies_count=count_of(Policy.objects.filter(connector=OuterRef("pk")), "connector"),
        applications_count=Coalesce(Subquery(_applications_through(OuterRef("pk"))), 0),
        all_applications=Exists(
            Policy.objects.filter(connector=OuterRef("pk"), enabled=True, all_applications=True)
        ),
    )


class _Paged(QuerySet[Connector]):
    """Narrowed and sorted without any figure; a slice of it is read with all of ``connectors_with_status``.

    So the figures are worked out for the rows of one page, whatever the page is sorted by. ``online`` narrows to those
    that are, or are not: counted, all live tunnels are gone through once; for a page they are asked connector by
    connector, until it is full.
    """

    online: bool | None = None

    def _chain(self) -> "_Paged":
        chained: _Paged = super()._chain()  # type: ignore[misc]
        chained.online = self.online
        return chained

    def _plain(self, online: Q) -> QuerySet[Connector]:
        rows: QuerySet[Connector] = QuerySet(self.model, self.query.chain())
        return rows if self.online is None else rows.filter(online if self.online else ~online)

    def count(self) -> int:
        tunnels = live_tunnels().filter(server__enabled=True)
        return self._plain(Q(pk__in=tunnels.values("server__connector"))).count()

    def __getitem__(self, wanted: Any) -> Any:
        if not isinstance(wanted, slice):
            return super().__getitem__(wanted)
        page = self._plain(Q(Exists(_tunnels_of(OuterRef("pk")))))[wanted].values("pk")
        return connectors_with_status().filter(pk__in=page).order_by(*self.query.order_by)


def connectors_to_page() -> _Paged:
    """For ``Table.page``: two queries, one of them over no more than a page."""
    return _Paged(Connector)


def with_status(connectors: QuerySet, *, online: bool) -> QuerySet:
    """Of ``connectors_to_page``: those that are online, or those that are not."""
    narrowed = connectors.all()
    narrowed.online = online  # type: ignore[attr-defined]
    return narrowed


def _tunnels_of(connector: OuterRef) -> QuerySet[Tunnel]:
    """The tunnels that make a connector online."""
    return live_tunnels().filter(server__connector=connector, server__enabled=True)


def _applications_through(connector: OuterRef) -> QuerySet:
    """The number of applications that enabled policies name for one connector, as a subquery of one row."""
    outer = OuterRef(connector)
    by_name = Policy.applications.through.objects.filter(policy__connector=outer, policy__enabled=True)
    by_tag = Application.tags.through.objects.filter(
        tag__policies__connector=outer, tag__policies__enabled=True
    )
    named = Q(pk__in=by_name.values("application")) | Q(pk__in=by_tag.values("application"))
    return (
        Application.objects.filter(named, enabled=True)
        .order_by()
        .annotate(one=Value(1))
        .values("one")
        .annotate(number=Count("pk"))
        .values("number")
    )


def open_flows(connector: Connector) -> int:
    """How many flows go through a connector now, as the gateways that are heard of said."""
    since = timezone.now() - SILENT_AFTER
    return Flow.objects.filter(connector=connector.pk, ended_at=None, gateway__heard_at__gt=since).count()


def online(connectors: Iterable[str]) -> set[str]:
    """Those of the connectors that are online."""
    found = live_tunnels().filter(server__enabled=True, server__connector__in=list(connectors))
    return set(found.values_list("server__connector_id", flat=True))


def policies_with_sizes() -> QuerySet[Policy]:
    """Policies with the sizes of what they name; each count is a subquery, so that none multiplies another."""
    counts = {
        f"{name}_count": count_of(
            getattr(Policy, name).through.objects.filter(policy=OuterRef("pk")), "policy"
        )
        for name in ("groups", "accounts", "applications", "tags")
    }
    return Policy.objects.select_related("connector").annotate(**counts)


# --- Cut-overs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """A gateway that has not confirmed; ``heard``: whether it can be expected to."""

    name: str
    heard: bool
    heard_at: datetime | None


@dataclass
class Cut:
    """How far a cut-over is. ``milliseconds`` from the request to the last confirmation so far."""

    target: str
    requested_at: datetime
    gateways: int = 0
    confirmed: int = 0
    milliseconds: int | None = None
    flows: int | None = None
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.confirmed == self.gateways

    @property
    def may_change(self) -> bool:
        """Whether a look in a second may show more: somebody who can be expected to has not answered."""
        return any(gateway.heard for gateway in self.waiting)


def recent_cuts(connectors: Iterable[str], verb: str = "connector.disable") -> dict[str, Cut]:
    """Connector → its newest cut-over by ``verb`` of the last minutes. One query."""
    since = timezone.now() - RECENT
    return _newest(
        _confirmations().filter(
            cutover__target__in=list(connectors),
            cutover__requested_at__gt=since,
            cutover__reason__startswith=verb,
        )
    )


def last_cut(connector: Connector, verb: str = "connector.disable") -> Cut | None:
    """The newest cut-over of a connector however long ago; None when there was none. Two queries."""
    cutover = Cutover.objects.filter(target=connector.pk, reason__startswith=verb).first()
    if cutover is None:
        return None
    cuts = _newest(_confirmations().filter(cutover=cutover))
    return cuts.get(connector.pk, Cut(connector.pk, cutover.requested_at))


def _confirmations() -> QuerySet[CutoverConfirmation]:
    return CutoverConfirmation.objects.select_related("cutover", "gateway")


def _newest(confirmations: QuerySet[CutoverConfirmation]) -> dict[str, Cut]:
    cuts: dict[str, Cut] = {}
    of: dict[str, int] = {}
    for confirmation in confirmations.order_by("-cutover_id", "gateway__name"):
        cutover = confirmation.cutover
        if of.setdefault(cutover.target, cutover.pk) == cutover.pk:
            _count_in(
                cuts.setdefault(cutover.target, Cut(cutover.target, cutover.requested_at)), confirmation
            )
    return cuts


def _count_in(cut: Cut, confirmation: CutoverConfirmation) -> None:
    cut.gateways += 1
    gateway = confirmation.gateway
    if confirmation.confirmed_at is None:
        cut.waiting.append(Waiting(gateway.name, gateway.is_heard, gateway.heard_at))
        return
    took = round((confirmation.confirmed_at - cut.requested_at).total_seconds() * 1000)
    cut.confirmed += 1
    cut.milliseconds = max(cut.milliseconds or 0, took)
    if confirmation.flows_cut is not None:
        cut.flows = (cut.flows or 0) + confirmation.flows_cut


# --- Servers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Light:
    """One light of a server: a badge's kind and word, when that was known, and for whom or of what."""

    kind: Literal["success", "warning", "error", "notice", "muted"]
    word: str
    at: datetime | None = None
    of: str = ""


@dataclass(frozen=True)
class Way:
    """How a server reaches a gateway; None what was not measured. ``by``: UDP, TCP or nothing."""

    gateway: str
    latency_ms: float | None
    loss_percent: float | None
    by: str


@dataclass(frozen=True)
class ServerStatus:
    server: Server
    process: Light
    tunnels: list[Light]
    configuration: Light
    destinations: Light
    latest: Latest | None
    """Its newest sample while that is fresh."""
    ways: list[Way]


def server_statuses(connector: Connector, wanted_version: int) -> list[ServerStatus]:
    """Every server of a connector with its lights. Two queries."""
    servers = list(connector.servers.select_related("latest"))
    gateways, tunnels = _gateways_and_tunnels([server.pk for server in servers]) if servers else ([], {})
    return [
        ServerStatus(
            server=server,
            process=_process(server),
            tunnels=[_tunnel(gateway, tunnels.get((server.pk, gateway.pk))) for gateway in gateways],
            configuration=_configuration(server, wanted_version),
            destinations=_destinations(server),
            latest=store.latest_of(server),
            ways=_ways(server, gateways),
        )
        for server in servers
    ]


def _gateways_and_tunnels(servers: Sequence[str]) -> tuple[list[Gateway], dict[tuple[str, str], Tunnel]]:
    """Enrolled gateways by name; their tunnels to these servers, by server and gateway. One query."""
    of_them = Q(tunnels__server__in=servers)
    rows = (
        Gateway.objects.filter(enrolled_at__isnull=False)
        .annotate(reported=FilteredRelation("tunnels", condition=of_them))
        .annotate(to=F("reported__server_id"), number=F("reported__count"), seen=F("reported__seen_at"))
        .order_by("name", "pk")
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
    """What a gateway says of its tunnels to a server; one that is not heard of cannot say."""
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
    """Whether the applications' hosts took a connection when the server last tried; fresh like its samples."""
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


def _configuration(server: Server, wanted_version: int) -> Light:
    """Its age is that of the version: since when the server works by it."""
    if server.applied_version is None:
        return Light("muted", "—")
    if server.applied_version < wanted_version:
        behind = f"version {server.applied_version} of {wanted_version}"
        return Light("warning", "Behind", server.applied_at, behind)
    return Light("success", "Current", server.applied_at, f"version {server.applied_version}")
