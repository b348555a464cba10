"""Reads of connectors and servers that pages, APIs and alerts share: who is online, and what lists show."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from connectors.applications.models import Application
from connectors.fleet.models.connectors import Connector, Server, Tunnel, heard_within
from connectors.policies.models.policies import Policy
from console.kit.counts import count_of
from console.machines.models.machines import SILENT_AFTER
from console.models import Gateway
from roaming.models import Flow

# --- Who is online ----------------------------------------------------------------------------------------------------


def live_tunnels(now: datetime | None = None) -> QuerySet[Tunnel]:
    """Tunnels that a gateway reported lately and is still heard of; an older report says nothing about now."""
    since = (now or timezone.now()) - SILENT_AFTER
    # Gateways are few: a subquery finds them once, where a join would look each tunnel's gateway up.
    heard = Gateway.objects.filter(heard_at__gt=since).order_by().values("pk")
    return Tunnel.objects.filter(count__gt=0, seen_at__gt=since, gateway__in=heard)


def online(connectors: Iterable[str]) -> set[str]:
    """Return those of the connectors (ids) that are online: an enabled server of theirs has a live tunnel."""
    found = live_tunnels().filter(server__enabled=True, server__connector__in=list(connectors))
    return set(found.values_list("server__connector_id", flat=True))


def _tunnels_of(connector: OuterRef) -> QuerySet[Tunnel]:
    """Tunnels that make one connector online, as a subquery."""
    return live_tunnels().filter(server__connector=connector, server__enabled=True)


def open_flows(connector: Connector) -> int:
    """Count the flows through a connector now, as the gateways that are heard of reported them."""
    since = timezone.now() - SILENT_AFTER
    return Flow.objects.filter(connector=connector.pk, ended_at=None, gateway__heard_at__gt=since).count()


def server_ids(connector: Connector) -> list[str]:
    return list(connector.servers.values_list("pk", flat=True))


# --- Connectors with their figures ------------------------------------------------------------------------------------


def connectors_with_status() -> QuerySet[Connector]:
    """Connectors with ``online``, ``servers_all``, ``servers_running``, ``policies_count``, ``applications_count`` and
    ``all_applications``, in one query.

    Online: at least one enabled server has a live tunnel on at least one gateway. Applications are those that enabled
    policies send through the connector, by name or by tag.
    """
    running = Server.objects.filter(heard_at__gt=timezone.now() - heard_within())
    return Connector.objects.select_related("region").annotate(
        online=Exists(_tunnels_of(OuterRef("pk"))),
        servers_all=count_of(Server.objects.all(), "connector"),
        servers_running=count_of(running, "connector"),
        policies_count=count_of(Policy.objects.all(), "connector"),
        applications_count=Coalesce(Subquery(_applications_through(OuterRef("pk"))), 0),
        all_applications=Exists(
            Policy.objects.filter(connector=OuterRef("pk"), enabled=True, all_applications=True)
        ),
    )


def _applications_through(connector: OuterRef) -> QuerySet:
    """Number of applications that enabled policies name for one connector, as a subquery of one row."""
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


@dataclass(frozen=True)
class ConnectorPages:
    """Connectors for ``Table.page``: filtered, ordered and counted without figures, and read a page at a time with all.

    So ``connectors_with_status`` works its figures out for one page of connectors, whatever the list is ordered by.
    ``online`` keeps the connectors that are online (True), those that are not (False), or all (None).
    """

    rows: QuerySet[Connector] = field(default_factory=Connector.objects.all)
    ordering: tuple[str, ...] = ()
    online: bool | None = None

    def filter(self, *conditions: Q, **lookups: Any) -> "ConnectorPages":
        return replace(self, rows=self.rows.filter(*conditions, **lookups))

    def order_by(self, *names: str) -> "ConnectorPages":
        return replace(self, rows=self.rows.order_by(*names), ordering=names)

    def count(self) -> int:
        """Count in one query, which goes through all live tunnels once."""
        tunnels = live_tunnels().filter(server__enabled=True)
        return self._narrowed(Q(pk__in=tunnels.values("server__connector"))).count()

    @property
    def model(self) -> type[Connector]:
        return Connector

    def iterator(self, chunk_size: int) -> Iterator[Connector]:
        """Yield every connector with its figures, read in portions."""
        for start in itertools.count(0, chunk_size):
            portion = list(self[start : start + chunk_size])
            yield from portion
            if len(portion) < chunk_size:
                return

    def __getitem__(self, page: slice) -> QuerySet[Connector]:
        """Read a page in one query, which looks for live tunnels connector by connector until the page is full."""
        keys = self._narrowed(Q(Exists(_tunnels_of(OuterRef("pk")))))[page].values("pk")
        return connectors_with_status().filter(pk__in=keys).order_by(*self.ordering)

    def _narrowed(self, is_online: Q) -> QuerySet[Connector]:
        """Return the connectors wanted; ``is_online`` is the condition that costs the caller's query least."""
        if self.online is None:
            return self.rows
        return self.rows.filter(is_online if self.online else ~is_online)


def connectors_to_page() -> QuerySet[Connector]:
    """Return ``ConnectorPages`` of every connector: a queryset, as far as ``Table.page`` asks one."""
    return cast("QuerySet[Connector]", ConnectorPages())


def with_status(connectors: QuerySet[Connector], *, online: bool) -> QuerySet[Connector]:
    """Keep of ``connectors_to_page`` the connectors that are online, or those that are not."""
    return cast("QuerySet[Connector]", replace(cast("ConnectorPages", connectors), online=online))
