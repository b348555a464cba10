"""Reads of client accounts, and of the instances to which an account might roam."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Greatest
from django.shortcuts import get_object_or_404

from console.core.folding import fold
from console.kit.counts import count_of
from console.models import Area
from roaming.accounts.limits import Limit, Side, check, first_broken
from roaming.accounts.models import ClientAccount
from roaming.instances.models import Instance, InstanceCidr
from roaming.usage import buckets as usage


def account_or_404(account_id: str) -> ClientAccount:
    """Return a client account with its instance, region and area; an unknown id is answered with 404."""
    return get_object_or_404(ClientAccount.objects.select_related("instance__region__area"), pk=account_id)


def accounts_of(instance: Instance) -> QuerySet[ClientAccount]:
    """Return the client accounts of an instance with ``month_bytes`` (or None), and where they roamed from and to."""
    copies = Prefetch("copies", ClientAccount.objects.select_related("instance").order_by("created_at"))
    used = usage.this_month().filter(subject=OuterRef("pk"))
    # Data of the month counts the larger direction alone, as the cloud service counts it.
    larger = used.annotate(larger=Greatest("bytes_up", "bytes_down")).values("larger")
    rows = ClientAccount.objects.filter(instance=instance).annotate(month_bytes=Subquery(larger))
    return rows.select_related("source__instance").prefetch_related(copies)


def accounts_matching(rows: QuerySet[ClientAccount], text: str) -> QuerySet[ClientAccount]:
    """Narrow ``rows`` to accounts whose user name or e-mail holds ``text``, upper and lower case being the same.

    Bytes of the lower-case keys are compared: over 100,000 accounts several times as quick as ``icontains``.
    """
    wanted = fold(text)
    return rows.filter(Q(username_key__contains=wanted) | Q(email_key__contains=wanted))


def copies_of(account: ClientAccount) -> QuerySet[ClientAccount]:
    """Return the other accounts of the same ``origin``, which share the password, with instance and area."""
    others = ClientAccount.objects.filter(origin=account.origin).exclude(pk=account.pk)
    return others.select_related("instance__region__area").order_by("instance__name__fold", "pk")


@dataclass(frozen=True)
class Destination:
    """Instance that an account might roam to, with every limit, so that the dialog can say why it is refused."""

    instance: Instance
    limits: Sequence[Limit]

    @property
    def broken(self) -> Limit | None:
        return first_broken(self.limits)


def destinations(source: Instance, area: Area, username: str = "") -> list[Destination]:
    """Return every instance of ``area`` with the pre-flight: three queries, however many instances there are.

    Limits are those for the account ``username`` of ``source``; without a name, those for any account of ``source``.
    """
    taken = ClientAccount.objects.filter(instance=OuterRef("pk"), username_key=username.lower())
    rows = (
        Instance.objects.filter(region__area=area)
        .select_related("region")
        .annotate(accounts_used=count_of(ClientAccount.objects.all(), "instance"), holds_name=Exists(taken))
        .prefetch_related(Prefetch("cidrs", InstanceCidr.objects.order_by("position")))
        .order_by("name__fold", "pk")
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
