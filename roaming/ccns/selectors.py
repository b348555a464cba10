"""Reads of CCNs."""

from django.db.models import Prefetch, QuerySet

from console.kit.counts import count_of
from console.models import Area
from roaming.ccns.models import CCN, CloudNetwork
from roaming.instances.models import Instance


def ccns_in(area: Area | None) -> QuerySet[CCN]:
    """Return the CCNs of one area with ``instances_bound`` and their cloud networks; two queries read them all."""
    networks = Prefetch("cloud_networks", CloudNetwork.objects.order_by("id"))
    bound = count_of(Instance.objects.all(), "ccn")
    return CCN.objects.filter(area=area).annotate(instances_bound=bound).prefetch_related(networks)
