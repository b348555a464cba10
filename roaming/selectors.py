"""Reads that pages share."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest

from console.models import Area
from roaming.limits import Limit, Side, check, first_broken
from roaming.models import CCN, ClientAccount, CloudNetwork, Flow, Instance, InstanceCidr, UserSession
from roaming.services import usage


def _count(rows: QuerySet, of: str) -> Coalesce:
    """How many of ``rows`` belong to the outer row by the column ``of``; no join, or two counts would multiply."""
    counted = rows.filter(**{of: OuterRef("pk")}).order_by().values(of).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))


def instances() -> QuerySet[Instance]:
    """Instances with ``accounts_used`` and ``online`` (live sessions), region, area and CCN."""
    return Instance.objects.select_related("region__area", "ccn").annotate(
        accounts_used=_count(ClientAccount.objects.all(), "instance"),
        online=_count(UserSession.objects.filter(ended_at=None), "instance"),
    )


def instances_in(area: Area | None) -> QuerySet[Instance]:
    """Those of one area, with their blocks prefetched."""
    blocks = Prefetch("cidrs", InstanceCidr.objects.order_by("position"))
    return instances().filter(region__area=area).prefetch_related(blocks)


def accounts_of(instance: Instance) -> QuerySet[ClientAccount]:
    """The client accounts of an instance, with where they roamed from and to, and ``month_bytes`` or None."""
    copies = Prefetch("copies", ClientAccount.objects.select_related("instance").order_by("created_at"))
    used = usage.this_month().filter(subject=OuterRef("pk"))
    # Data of the month counts the larger direction alone, as the cloud service counts it.
    larger = used.annotate(larger=Greatest("bytes_up", "bytes_down")).values("larger")
    rows = ClientAccount.objects.filter(instance=instance).annotate(month_bytes=Subquery(larger))
    return rows.select_related("source__instance").prefetch_related(copies)


def accounts_matching(rows: QuerySet[ClientAccount], text: str) -> QuerySet[ClientAccount]:
    """Narrow to those whose user name or e-mail holds ``text``, upper and lower case being the same.

    Compared as bytes with the lower-case keys: over 100,000 accounts several times as quick as ``icontains``.
    """
    wanted = text.lower()
    return rows.filter(Q(username_key__contains=wanted) | Q(email_key__contains=wanted))


def live_sessions_by_account(accounts: Sequence[ClientAccount]) -> dict[str, list[UserSession]]:
    """The live sessions of these accounts, newest first; one query for all."""
    found: dict[str, list[UserSession]] = {account.pk: [] for account in accounts}
    live = UserSession.objects.filter(account__in=list(found), ended_at=None).order_by("-created_at")
    for session in live if found else ():
        found[str(session.account_id)].append(session)
    return found


def live_sessions_of(instance: Instance) -> QuerySet[UserSession]:
    return UserSession.objects.filter(instance=instance, ended_at=None).select_related("gateway")


def session_traffic(sessions: Sequence[UserSession]) -> dict[str, tuple[int, int, int]]:
    """Session → (open flows, bytes up, bytes down) of each; two queries for all."""
    keys = [session.pk for session in sessions]
    still = Flow.objects.filter(session__in=keys, ended_at=None).order_by()
    flows = dict(still.values_list("session").annotate(Count("pk")))
    moved = usage.totals(keys)
    return {key: (flows.get(key, 0), *moved.get(key, (0, 0))) for key in keys}


def ccns_in(area: Area | None) -> QuerySet[CCN]:
    """CCNs of one area with ``instances_bound`` and their cloud networks."""
    networks = Prefetch("cloud_networks", CloudNetwork.objects.order_by("id"))
    bound = _count(Instance.objects.all(), "ccn")
    return CCN.objects.filter(area=area).annotate(instances_bound=bound).prefetch_related(networks)


@dataclass(frozen=True)
class Destination:
    """An instance that an account might roam to, and what each limit says of it."""

    instance: Instance
    limits: Sequence[Limit]

    @property
    def broken(self) -> Limit | None:
        return first_broken(self.limits)


def destinations(source: Instance, area: Area, username: str = "") -> list[Destination]:
    """Every instance of ``area`` with the pre-flight: three queries, however many there are.

    For the account ``username`` of ``source``; without it, for whoever may roam from there.
    """
    taken = ClientAccount.objects.filter(instance=OuterRef("pk"), username_key=username.lower())
    rows = (
        Instance.objects.filter(region__area=area)
        .select_related("region")
        .annotate(accounts_used=_count(ClientAccount.objects.all(), "instance"), holds_name=Exists(taken))
        .prefetch_related(Prefetch("cidrs", InstanceCidr.objects.order_by("position")))
        .order_by("name", "pk")
    )
    here = _side(source, source.region.area_id)
    return [Destination(row, check(username, here, _side(row, area.pk))) for row in rows]


def _side(instance: Instance, area: str) -> Side:
    return Side(
        name=instance.name,
        area=area,
        active=instance.is_active,
        blocks=instance.blocks(),
        quota=instance.account_quota,
        used=getattr(instance, "accounts_used", 0),
        holds_name=getattr(instance, "holds_name", False),
    )


def copies_of(account: ClientAccount) -> QuerySet[ClientAccount]:
    """The other accounts that share its password: what it was copied from and to, with instance and area."""
    others = ClientAccount.objects.filter(origin=account.origin).exclude(pk=account.pk)
    return others.select_related("instance__region__area").order_by("instance__name", "pk")


@dataclass(frozen=True)
class Dependants:
    """What goes with an instance when it is deleted: ``accounts`` are the first of those that ``used`` counts."""

    accounts: Sequence[ClientAccount]
    copied_elsewhere: int


def dependants_of(instance: Instance) -> Dependants:
    """Two queries; the counts of accounts and sessions are the instance's own."""
    accounts = ClientAccount.objects.filter(instance=instance)
    elsewhere = ClientAccount.objects.filter(source__instance=instance).exclude(instance=instance)
    return Dependants(list(accounts.order_by("username_key")[:10]), elsewhere.count())
