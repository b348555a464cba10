"""Reads of instances, and the look-ups by which pages find an instance or answer 404."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404

from console.kit.counts import count_of
from console.models import Area
from roaming.accounts.models import ClientAccount
from roaming.instances.models import Instance, InstanceCidr
from roaming.sessions.models import UserSession


def instances() -> QuerySet[Instance]:
    """Return instances with region, area, CCN, and the counts ``accounts_used`` and ``online`` (live sessions)."""
    return Instance.objects.select_related("region__area", "ccn").annotate(
        accounts_used=count_of(ClientAccount.objects.all(), "instance"),
        online=count_of(UserSession.objects.filter(ended_at=None), "instance"),
    )


def instances_alone() -> QuerySet[Instance]:
    """Return instances with region and area but without counts, for pages that show none or count by themselves."""
    return Instance.objects.select_related("region__area")


def instances_in(area: Area | None) -> QuerySet[Instance]:
    """Return the instances of one area, with their blocks prefetched."""
    blocks = Prefetch("cidrs", InstanceCidr.objects.order_by("position"))
    return instances().filter(region__area=area).prefetch_related(blocks)


def instance_or_404(instance_id: str) -> Instance:
    """Return an instance with its counts, region, area and CCN; an unknown id is answered with 404."""
    return get_object_or_404(instances(), pk=instance_id)


def instance_alone_or_404(instance_id: str) -> Instance:
    """Return an instance with region and area but without counts; an unknown id is answered with 404."""
    return get_object_or_404(instances_alone(), pk=instance_id)


@dataclass(frozen=True)
class Dependants:
    """Client accounts that a deletion takes along (the first of ``accounts_used``), and copies left elsewhere."""

    accounts: Sequence[ClientAccount]
    copied_elsewhere: int


def dependants_of(instance: Instance) -> Dependants:
    """Return the dependants in two queries; ``instances`` counts all accounts and sessions already."""
    accounts = ClientAccount.objects.filter(instance=instance)
    elsewhere = ClientAccount.objects.filter(source__instance=instance).exclude(instance=instance)
    return Dependants(list(accounts.order_by("username_key")[:10]), elsewhere.count())
