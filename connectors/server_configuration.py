"""What one connector server works by (docs/architecture.md, «Configuration of a connector server»)."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from connectors.models import Application, Policy, Server, ServerUpgrade
from console import config, logs
from console.errors import NotFound
from console.models import Gateway
from console.snapshot import echo_key


def server_of(server_id: str) -> Server:
    """Raises ``NotFound`` with code MachineUnknown."""
    try:
        return Server.objects.select_related("connector").get(pk=server_id)
    except Server.DoesNotExist as error:
        raise NotFound("This server was removed from the console.", code="MachineUnknown") from error


def build(server_id: str) -> dict[str, Any]:
    """The document; its version is read first, so that a change meanwhile is fetched again, never missed."""
    with transaction.atomic():
        version = config.current().servers_version
        server = server_of(server_id)
        connector = server.connector
        return {
            "version": version,
            "server": {"id": server.pk, "enabled": server.enabled},
            "connector": {"id": connector.pk, "name": connector.name, "enabled": connector.enabled},
            "gateways": [
                {
                    "id": gateway.pk,
                    "host": gateway.public_host,
                    "port": gateway.tunnel_port,
                    "echo_key": echo_key(gateway.pk),
                }
                for gateway in Gateway.objects.filter(enrolled_at__isnull=False).order_by("pk")
            ],
            "applications": [_application(application) for application in _served(connector.pk)],
            "upgrade": _order(server),
            "logs": logs.wanted(server.pk),
        }


def _order(server: Server) -> dict[str, Any] | None:
    """What the server is to install; its console keeps saying so until the step is over."""
    wanted = (ServerUpgrade.State.INSTALLING, ServerUpgrade.State.CHECKING)
    step = server.upgrades.filter(state__in=wanted).select_related("upgrade").first()
    if step is None:
        return None
    run = step.upgrade
    return {
        "order": run.pk,
        "version": run.version,
        "wheel": run.wheel,
        "sha256": run.sha256,
        "health_seconds": settings.UPGRADE_HEALTH_SECONDS,
    }


def _served(connector_id: str) -> list[Application]:
    """Enabled applications that some policy sends through the connector; switching that policy on needs no new one."""
    applications = Application.objects.filter(enabled=True)
    if not Policy.objects.filter(connector=connector_id, all_applications=True).exists():
        named = Q(policies__connector=connector_id) | Q(tags__policies__connector=connector_id)
        applications = applications.filter(named)
    return list(applications.distinct().order_by("pk").prefetch_related("addresses", "ports"))


def _application(application: Application) -> dict[str, Any]:
    return {
        "id": application.pk,
        "name": application.name,
        "addresses": [address.address for address in application.addresses.all()],
        "ports": [[ports.begin, ports.end] for ports in application.ports.all()],
        "origin": application.origin,
    }
