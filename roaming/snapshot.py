"""This app's part of a gateway's configuration."""

from django.db.models import F, Q
from django.utils import timezone

from console.machines.snapshot import Part
from console.models import Gateway
from edge.protocol import configuration as wire
from roaming.ccns.models import CloudNetwork
from roaming.instances.models import Instance
from roaming.sessions.models import UserSession


def part(gateway: Gateway) -> Part:
    """``instances``, ``ended_sessions`` and ``bandwidth``: four queries, however many there are."""
    networks: dict[str, list[str]] = {}
    for ccn, cidr in CloudNetwork.objects.order_by("id").values_list("ccn_id", "cidr"):
        networks.setdefault(ccn, []).append(cidr)
    rows = Instance.objects.order_by("pk").values_list("pk", "region__area_id", "status", "ccn_id")
    # A session that ended after its token had expired needs no telling.
    ended = UserSession.objects.filter(ended_at__isnull=False, expires_at__gt=timezone.now()).order_by()
    # Tokens name the bandwidth; only what changed under live sessions has to be told.
    live = UserSession.objects.filter(
        ended_at=None, account__isnull=False, expires_at__gt=timezone.now()
    ).order_by()
    changed = live.filter(Q(bandwidth_kbps=None) | ~Q(bandwidth_kbps=F("account__bandwidth_kbps")))
    return {
        "instances": {
            pk: wire.Instance(
                area=area,
                active=status == Instance.Status.ACTIVE,
                ccn=ccn,
                cloud_networks=networks.get(ccn, ()),
            )
            for pk, area, status, ccn in rows
        },
        "ended_sessions": dict(ended.values_list("pk", "end_reason")),
        "bandwidth": dict(changed.values_list("account", "account__bandwidth_kbps").distinct()),
    }
