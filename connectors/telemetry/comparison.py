"""Servers' figures beside the gateways': a server that tells of other bytes than gateways counted is marked and told.

A server measures its tunnels, and gateways count the flows in them, hour by hour. The tunnels carry a little more, by
which alone no server is marked. An hour that goes on is compared for what a server made up, a past one for what it left
out as well. While a gateway is silent, what it counted is not known, and nothing is compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from connectors.fleet.models.connectors import Server, heard_within
from connectors.telemetry import sql
from connectors.telemetry.models import Comparison, Disagreement, Hour
from connectors.telemetry.sql import HOUR
from console.machines.models.machines import SILENT_AFTER, Gateway
from roaming.usage import buckets as usage

# Bytes of an hour that mark no server: pings, and headers of flows that carry little.
FLOOR = 64 * 2**20
# Time after which what a server left out of an hour counts: samples and their roll-ups come in batches.
SETTLED = timedelta(minutes=10)

FIGURES = ("start", "told_rx", "told_tx", "counted_up", "counted_down")
Bytes = tuple[int, int]


@dataclass(frozen=True)
class Figures:
    """Bytes of an hour, from users and to them: by the server, by the gateways, and those of its connector alone.

    ``loose``: counted by gateways that do not say which server of the connector carried them; any may have.
    """

    told: Bytes
    counted: Bytes
    loose: Bytes

    def made_up(self) -> bool:
        """Tell whether the server told of far more, either way, than gateways counted."""
        known = zip(self.told, self.counted, self.loose, strict=True)
        return any(told > _far(counted + loose) for told, counted, loose in known)

    def left_out(self) -> bool:
        """Tell whether gateways counted far more than the server told. Headers are smaller in tunnels than in flows."""
        return sum(self.counted) > _far(sum(self.told))


def _far(count: int) -> float:
    return count * (1 + settings.TELEMETRY_TOLERANCE_PERCENT / 100) + FLOOR


def compare(now: datetime | None = None) -> int:
    """Let the worker compare this hour and the one before; return how many marks came or went."""
    now = now or timezone.now()
    since = Comparison.objects.get_or_create(id=1, defaults={"since": now})[0].since
    enrolled = Gateway.objects.filter(enrolled_at__isnull=False, heard_at__isnull=False)
    if enrolled.filter(heard_at__lt=now - SILENT_AFTER).exists():
        return 0
    this = int(now.timestamp()) // HOUR * HOUR
    return sum(_compare_hour(start, now) for start in (this - HOUR, this) if start >= since.timestamp())


def _compare_hour(start: int, now: datetime) -> int:
    servers = list(Server.objects.only("connector", "heard_at"))
    told = {row[0]: row[1:] for row in _told(start)}
    carriers = [*told, *{server.pk for server in servers}, *{server.connector_id for server in servers}]
    counted = usage.of_hour(carriers, sql.at(start))
    over = sql.at(start + HOUR) + SETTLED <= now
    marks = []
    for server in servers:
        figures = Figures(*(known.get(pk, (0, 0)) for known, pk in _sources(server, told, counted)))
        heard = server.heard_at is not None and now - server.heard_at < heard_within()
        if figures.made_up() or (over and heard and figures.left_out()):
            marks.append(_mark(server, start, figures))
    return _write(start, marks)


def _told(start: int) -> list[tuple[str, int, int]]:
    return list(Hour.objects.filter(start=start).values_list("server", "rx_bytes", "tx_bytes"))


def _sources(
    server: Server, told: Mapping[str, Bytes], counted: Mapping[str, Bytes]
) -> list[tuple[Mapping[str, Bytes], str]]:
    """Return where the figures of a server stand, in the order of ``Figures``."""
    return [(told, server.pk), (counted, server.pk), (counted, server.connector_id)]


def _mark(server: Server, start: int, figures: Figures) -> Disagreement:
    up, down = (each + loose for each, loose in zip(figures.counted, figures.loose, strict=True))
    rx, tx = figures.told
    return Disagreement(
        server_id=server.pk, start=start, told_rx=rx, told_tx=tx, counted_up=up, counted_down=down
    )


@transaction.atomic
def _write(start: int, marks: Sequence[Disagreement]) -> int:
    """Write the marks of an hour in place of those before; return how many came or went."""
    before = set(Disagreement.objects.filter(start=start).values_list("server", flat=True))
    now = {mark.server_id for mark in marks}
    Disagreement.objects.filter(start=start, server__in=before - now).delete()
    Disagreement.objects.bulk_create(
        marks,
        update_conflicts=True,
        unique_fields=["server", "start"],
        update_fields=["told_rx", "told_tx", "counted_up", "counted_down"],
    )
    return len(before ^ now)


def doubted(now: datetime | None = None) -> set[str]:
    """Return the servers (ids) that are marked for this hour or the one before. Run one query."""
    return set(_recent(now).values_list("server", flat=True))


def is_doubted() -> Exists:
    """Make the expression that tells of each server in a query whether ``doubted`` holds the server."""
    return Exists(_recent().filter(server=OuterRef("pk")))


def _recent(now: datetime | None = None) -> QuerySet[Disagreement]:
    this = int((now or timezone.now()).timestamp()) // HOUR * HOUR
    return Disagreement.objects.filter(start__gte=this - HOUR)


@dataclass(frozen=True)
class Doubt:
    """What the gateways say to a server's figures in the time that a chart shows. ``more``: other hours beside."""

    newest: Disagreement
    more: int


def with_doubts(servers: QuerySet[Server], start: datetime, end: datetime) -> QuerySet[Server]:
    """Have each server's marked hours in a time read with the server, for ``doubts``; no query is added."""
    marked = _marked(start, end)
    newest = marked.order_by("-start")
    number = marked.order_by().values("server").annotate(number=Count("pk")).values("number")
    figures = {f"marked_{name}": Subquery(newest.values(name)[:1]) for name in FIGURES}
    return servers.annotate(**figures, marked_hours=Subquery(number))


def all_with_doubts(start: datetime, end: datetime) -> QuerySet[Server]:
    """Return the servers that have marked hours in a time, for ``doubts``."""
    return with_doubts(Server.objects.filter(Exists(_marked(start, end))), start, end)


def _marked(start: datetime, end: datetime) -> QuerySet[Disagreement]:
    shown = Disagreement.objects.filter(start__gt=start.timestamp() - HOUR, start__lt=end.timestamp())
    return shown.filter(server=OuterRef("pk"))


def doubts(servers: Iterable[Server]) -> dict[str, Doubt]:
    """Map each of the servers, read ``with_doubts``, that has marked hours in the time to its doubt."""
    found = {}
    for server in servers:
        hours: int | None = getattr(server, "marked_hours", None)
        if hours is not None:
            newest = {name: getattr(server, f"marked_{name}") for name in FIGURES}
            found[server.pk] = Doubt(Disagreement(server=server, **newest), hours - 1)
    return found
