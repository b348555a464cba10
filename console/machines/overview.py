"""Figures of the gateways on the overview."""

from django.utils import timezone

from console.machines.models.machines import SILENT_AFTER, Gateway
from console.ports import Card


def cards() -> list[Card]:
    gateways = list(Gateway.objects.filter(enrolled_at__isnull=False).only("heard_at", "open_flows"))
    heard = [gateway for gateway in gateways if gateway.is_heard]
    flows = [gateway.open_flows for gateway in heard if gateway.open_flows is not None]
    oldest = min((gateway.heard_at for gateway in heard if gateway.heard_at), default=None)
    age = (
        f"the longest silence is {int((timezone.now() - oldest).total_seconds())} s"
        if oldest
        else "none was heard of"
    )
    return [
        Card(
            "Gateways reached",
            f"{len(heard)} of {len(gateways)}",
            f"Heard of within {int(SILENT_AFTER.total_seconds())} s; {age}.",
            "gateways:list",
            20,
        ),
        Card(
            "Open flows",
            str(sum(flows)) if flows else "—",
            "As the gateways report them.",
            "gateways:list",
            50,
        ),
    ]
