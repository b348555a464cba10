"""Connectors and their servers: every write, whichever door it comes through."""

from django.db import transaction

from connectors.models import Connector, Server
from connectors.services.saving import listed, save
from console import audit, config
from console.audit import Actor
from console.errors import Conflict
from console.models import EnrollmentCode, MachineKey, Region


def _facts(connector: Connector) -> dict[str, object]:
    return {"name": connector.name, "region": connector.region_id, "enabled": connector.enabled}


@transaction.atomic
def connector_create(*, name: str, region: Region, enabled: bool = True, actor: Actor) -> Connector:
    """Raises ``Invalid`` for a name that is not legal or taken."""
    connector = save(Connector(name=name.strip(), region=region, enabled=enabled))
    audit.record(actor=actor, verb="connector.create", target=connector, after=_facts(connector))
    config.publish()
    return connector


def _switch(connector: Connector, *, enabled: bool, actor: Actor) -> Connector:
    word = "enabled" if enabled else "disabled"
    verb = "connector.enable" if enabled else "connector.disable"
    # Compare and set: of two people who click at once, one is told that it was done before.
    if not Connector.objects.filter(pk=connector.pk, enabled=not enabled).update(enabled=enabled):
        raise Conflict(f"{connector.name} is already {word}.", code="ConnectorAlreadySwitched")
    connector.enabled = enabled
    audit.record(
        actor=actor, verb=verb, target=connector, before={"enabled": not enabled}, after={"enabled": enabled}
    )
    cut = None if enabled else f"{verb} {connector.name}"
    config.publish(servers=True, cut=cut, target=connector.pk)
    return connector


@transaction.atomic
def connector_enable(*, connector: Connector, actor: Actor) -> Connector:
    """Switch a connector on. Raises ``Conflict`` when it is on already."""
    return _switch(connector, enabled=True, actor=actor)


@transaction.atomic
def connector_disable(*, connector: Connector, actor: Actor) -> Connector:
    """Switch a connector off: gateways refuse new flows through it and cut the open ones.

    Raises ``Conflict`` when it is off already. The cut is confirmed by the gateways; see ``Cutover``.
    """
    return _switch(connector, enabled=False, actor=actor)


@transaction.atomic
def connector_rename(*, connector: Connector, name: str, actor: Actor) -> Connector:
    """Raises ``Invalid`` for a name that is not legal or taken."""
    before, connector.name = connector.name, name.strip()
    if connector.name == before:
        return connector
    save(connector, "name")
    audit.record(
        actor=actor,
        verb="connector.rename",
        target=connector,
        before={"name": before},
        after={"name": connector.name},
    )
    config.publish(servers=True)
    return connector


@transaction.atomic
def connector_delete(*, connector: Connector, actor: Actor) -> None:
    """Remove a connector with its servers. Raises ``Conflict`` while forwarding policies name it."""
    policies = list(connector.policies.values_list("name", flat=True))
    if policies:
        raise Conflict(
            f"{connector.name} cannot be deleted while forwarding policies name it: {listed(policies)}. "
            "Delete them or give them another connector first.",
            code="ConnectorInUse",
        )
    servers = list(connector.servers.values_list("pk", flat=True))
    before = {**_facts(connector), "servers": servers}
    audit.record(actor=actor, verb="connector.delete", target=connector, before=before)
    MachineKey.objects.filter(machine__in=servers).delete()
    EnrollmentCode.objects.filter(target=connector.pk, used_at=None).delete()
    config.publish(cut=f"connector.delete {connector.name}", target=connector.pk)
    Connector.objects.filter(pk=connector.pk).delete()


def _server_switch(server: Server, *, enabled: bool, actor: Actor) -> Server:
    word = "enabled" if enabled else "disabled"
    verb = "server.enable" if enabled else "server.disable"
    if not Server.objects.filter(pk=server.pk, enabled=not enabled).update(enabled=enabled):
        raise Conflict(f"{server} is already {word}.", code="ServerAlreadySwitched")
    server.enabled = enabled
    audit.record(
        actor=actor, verb=verb, target=server, before={"enabled": not enabled}, after={"enabled": enabled}
    )
    config.publish(servers=True, cut=None if enabled else f"{verb} {server}"[:200], target=server.pk)
    return server


@transaction.atomic
def server_enable(*, server: Server, actor: Actor) -> Server:
    """Let a server carry flows again. Raises ``Conflict`` when it may already."""
    return _server_switch(server, enabled=True, actor=actor)


@transaction.atomic
def server_disable(*, server: Server, actor: Actor) -> Server:
    """Take a server out: gateways close its tunnels. Raises ``Conflict`` when it is out already."""
    return _server_switch(server, enabled=False, actor=actor)


@transaction.atomic
def server_remove(*, server: Server, actor: Actor) -> None:
    """Forget a server and its key: its calls and tunnels are refused from now on, its measurements are gone."""
    before = {
        "connector": server.connector_id,
        "hostname": server.hostname,
        "endpoint_ip": server.endpoint_ip,
    }
    audit.record(actor=actor, verb="server.remove", target=server, before=before)
    MachineKey.objects.filter(pk=server.pk).delete()
    config.publish(cut=f"server.remove {server}"[:200], target=server.pk)
    Server.objects.filter(pk=server.pk).delete()
