"""Writes of tunnels, as gateways report them."""

import logging
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from connectors.fleet.models.connectors import Server, Tunnel
from console.models import Gateway

log = logging.getLogger(__name__)


def tunnels_seen(gateway: Gateway, counts: Mapping[str, int | None]) -> None:
    """Replace what is known of one gateway's tunnels by what it reports now; servers unknown here are passed over.

    Run the same few queries, however many tunnels there are. ``counts``: server id → number of tunnels; servers without
    tunnels may be left out. None stands for a number that made no sense: what is known of that server grows old.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            known = set(Server.objects.filter(pk__in=counts).values_list("pk", flat=True))
            rows = [
                Tunnel(gateway=gateway, server_id=server, count=count, seen_at=now)
                for server, count in sorted(counts.items())
                if count and server in known
            ]
            unclear = [server for server, count in counts.items() if count is None]
            Tunnel.objects.filter(gateway=gateway).exclude(
                server__in=[*(row.server_id for row in rows), *unclear]
            ).delete()
            Tunnel.objects.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["gateway", "server"],
                update_fields=["count", "seen_at"],
            )
    except IntegrityError as error:
        # Somebody removed a server between read and write; the gateway's next status is stored whole.
        log.info("tunnels of %s were not stored: %s", gateway.pk, error)
