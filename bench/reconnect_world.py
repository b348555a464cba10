"""Tell a console of simulated servers: ``python -m bench.reconnect_world CONNECTOR`` reads ``{id: public key}``."""

import json
import sys

import django


def register(connector_id: str, keys: dict[str, str]) -> None:
    """Make the connector and its servers as if each had enrolled; in bulk, since there are thousands of servers."""
    django.setup()
    from django.utils import timezone

    from connectors.models import Connector, Server
    from console.models import MachineKey, Region

    connector = Connector.objects.create(pk=connector_id, name="bench", region=Region.objects.earliest("pk"))
    now = timezone.now()
    Server.objects.bulk_create(Server(pk=pk, connector=connector, enrolled_at=now) for pk in keys)
    MachineKey.objects.bulk_create(
        MachineKey(machine=pk, kind="server", public_key=key) for pk, key in keys.items()
    )


if __name__ == "__main__":
    register(sys.argv[1], json.load(sys.stdin))
