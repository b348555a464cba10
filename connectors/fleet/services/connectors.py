"""Writes to connectors, whichever door they come through."""

from datetime import time

from django.db import transaction

from connectors.fleet.models.connectors import Connector
from connectors.fleet.services.license import require_room
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict
from console.core.saving import changed, listed, save, sides
from console.core.switching import switch
from console.machines import config
from console.models import EnrollmentCode, MachineKey, Region


def _facts(connector: Connector) -> dict[str, object]:
    return {"name": connector.name, "region": connector.region_id, "enabled": connector.enabled}


@transaction.atomic
def connector_create(*, name: str, region: Region, enabled: bool = True, actor: Actor) -> Connector:
    """Add a connector. Raise ``Invalid`` for an illegal or taken name, ``Conflict`` when the license allows no more."""
    require_room()
    connector = save(Connector(name=name.strip(), region=region, enabled=enabled))
    audit.record(actor=actor, verb="connector.create", target=connector, after=_facts(connector))
    config.publish()
    return connector


@transaction.atomic
def connector_switch(*, connector: Connector, enabled: bool, actor: Actor) -> Connector:
    """Switch a connector on, or off: gateways refuse new flows through it then and cut the open ones.

    Raise ``Conflict`` when the connector is so already. Gateways confirm the cut; see ``Cutover``.
    """
    verb = switch(connector, kind="connector", enabled=enabled, actor=actor)
    cut = None if enabled else f"{verb} {connector.name}"
    config.publish(servers=True, cut=cut, target=connector.pk)
    return connector


@transaction.atomic
def connector_rename(*, connector: Connector, name: str, actor: Actor) -> Connector:
    """Give a connector another name. Raise ``Invalid`` for an illegal or taken one."""
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
def connector_upgrade_window(
    *, connector: Connector, start: time | None, end: time | None, actor: Actor
) -> Connector:
    """Set the times of day (UTC) between which servers may be upgraded. Raise ``Invalid`` for one without the other."""
    differences = changed(connector, {"upgrade_start": start, "upgrade_end": end})
    if not differences:
        return connector
    save(connector, *differences)
    audit.record(
        actor=actor, verb="connector.upgrade_window", target=connector, **sides(differences, shown_time)
    )
    return connector


def shown_time(value: time | None) -> str | None:
    return None if value is None else value.strftime("%H:%M UTC")


@transaction.atomic
def connector_delete(*, connector: Connector, actor: Actor) -> None:
    """Remove a connector with its servers. Raise ``Conflict`` while forwarding policies name the connector."""
    policies = list(connector.policies.values_list("name", flat=True))
    if policies:
        raise Conflict(
            f"{connector.name} cannot be deleted while forwarding policies name it: {listed(policies)}. "
            "Delete these policies, or give them another connector first.",
            code="ConnectorInUse",
        )
    servers = list(connector.servers.values_list("pk", flat=True))
    before = {**_facts(connector), "servers": servers}
    audit.record(actor=actor, verb="connector.delete", target=connector, before=before)
    MachineKey.objects.filter(machine__in=servers).delete()
    EnrollmentCode.objects.filter(target=connector.pk, used_at=None).delete()
    config.publish(cut=f"connector.delete {connector.name}", target=connector.pk)
    Connector.objects.filter(pk=connector.pk).delete()
