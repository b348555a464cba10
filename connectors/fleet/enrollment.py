"""Enrollment of connector servers: who is admitted, and which names a server's certificates carry."""

import ipaddress
from datetime import datetime

from cryptography import x509
from django.utils import timezone

from connectors.fleet import configuration as server_configuration
from connectors.fleet.models.connectors import Connector, Server
from console.core import audit
from console.core.errors import Forbidden, NotFound
from console.machines import config
from console.ports import MachineKind
from edge.protocol.enrollment import Enroll


def address_or_none(text: str) -> str | None:
    """Return an IP address as the database takes it, without a scope such as ``%eth0``; None for any other text."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def admit(target: str, request: Enroll, public_address: str) -> tuple[str, str]:
    """Make the server's record for the connector that the code was made for."""
    try:
        # Lock the connector: deleted at this moment, it must not leave a server behind.
        connector = Connector.objects.select_for_update().get(pk=target)
    except Connector.DoesNotExist as error:
        raise NotFound(
            "The connector of this enrollment code was deleted.", code="ConnectorUnknown"
        ) from error
    server = Server.objects.create(
        connector=connector,
        hostname=request.hostname,
        endpoint_ip=address_or_none(public_address),
        private_ip=request.private_address or None,
        version=request.version,
        system=request.system,
        enrolled_at=timezone.now(),
    )
    after = {"connector": connector.pk, "hostname": server.hostname, "endpoint_ip": server.endpoint_ip}
    audit.record(actor=audit.System("enrollment"), verb="server.enroll", target=server, after=after)
    config.publish()  # gateways accept tunnels only of servers in their configuration
    return server.pk, connector.pk


def names(machine: str) -> dict[str, tuple[list[x509.GeneralName], bool, bool]]:
    """Name the certificates: ``outer`` dials gateways as this server of this connector, ``inner`` meets the flows."""
    server = server_configuration.server_of(machine)
    if not server.enabled:
        raise Forbidden(
            "This server is disabled in the console; its certificates are not renewed.", code="ServerDisabled"
        )
    outer: list[x509.GeneralName] = [
        x509.DNSName(server.pk),
        x509.UniformResourceIdentifier(server.connector_id),
    ]
    return {"outer": (outer, False, True), "inner": ([x509.DNSName(server.connector_id)], True, False)}


def issued(machine: str, ends_at: datetime) -> None:
    Server.objects.filter(pk=machine).update(certificate_ends_at=ends_at)


KIND = MachineKind(
    signing="outer", admit=admit, names=names, configuration=server_configuration.build, issued=issued
)
