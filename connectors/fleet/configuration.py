"""Configuration of a connector server, which it works by (docs/architecture.md has the shape under this name)."""

from django.db import transaction
from django.db.models import Q

from connectors.applications.models import Application
from connectors.fleet.models.connectors import Server
from connectors.fleet.services.upgrades import SERVERS
from connectors.policies.models.policies import Policy
from console.core.errors import NotFound
from console.machines import config, epochs, logs
from console.machines.snapshot import echo_key
from console.models import Gateway
from edge.protocol import configuration as wire
from edge.protocol.edition import Edition


def server_of(server_id: str) -> Server:
    """Find a server with its connector. Raise ``NotFound`` with code MachineUnknown for a removed one."""
    try:
        return Server.objects.select_related("connector").get(pk=server_id)
    except Server.DoesNotExist as error:
        raise NotFound("This server was removed from the console.", code="MachineUnknown") from error


def build(server_id: str) -> wire.ServerConfiguration:
    """Build the document. Its version is read first, so that a change meanwhile is fetched again, never missed."""
    with transaction.atomic():
        now = config.current()
        server = server_of(server_id)
        connector = server.connector
        return wire.ServerConfiguration(
            version=now.servers_version,
            epoch=now.epoch,
            seal=epochs.seal("servers_version", Edition(now.epoch, now.servers_version)),
            server=wire.Server(id=server.pk, enabled=server.enabled),
            connector=wire.OwnConnector(id=connector.pk, name=connector.name, enabled=connector.enabled),
            gateways=[
                wire.DialledGateway(
                    id=gateway.pk,
                    host=gateway.public_host,
                    port=gateway.tunnel_port,
                    echo_key=echo_key(gateway.pk),
                )
                for gateway in Gateway.objects.filter(enrolled_at__isnull=False).order_by("pk")
            ],
            applications=[_application(application) for application in _served(connector.pk)],
            upgrade=SERVERS.order(server),
            logs=logs.wanted(server.pk),
        )


def _served(connector_id: str) -> list[Application]:
    """Return enabled applications that any policy, on or off, sends through the connector."""
    applications = Application.objects.filter(enabled=True)
    if not Policy.objects.filter(connector=connector_id, all_applications=True).exists():
        named = Q(policies__connector=connector_id) | Q(tags__policies__connector=connector_id)
        applications = applications.filter(named)
    return list(applications.distinct().order_by("pk").prefetch_related("addresses", "ports"))


def _application(application: Application) -> wire.ServedApplication:
    return wire.ServedApplication(
        id=application.pk,
        name=application.name,
        addresses=[address.address for address in application.addresses.all()],
        ports=[(ports.begin, ports.end) for ports in application.ports.all()],
        origin=application.origin,
    )
