"""Writes of gateways' records."""

from typing import Any

from django.db import transaction

from console.core import audit, saving
from console.core.errors import Conflict
from console.machines import config
from console.machines.models.machines import EnrollmentCode, Gateway, MachineKey

GATEWAY_FIELDS = ("name", "region", "public_host", "listen_address", "client_port", "tunnel_port")


def _values(gateway: Gateway) -> dict[str, Any]:
    return {field: str(getattr(gateway, field)) for field in GATEWAY_FIELDS}


@transaction.atomic
def gateway_create(*, actor: audit.Actor, **fields: Any) -> Gateway:
    """Make a gateway's record; its machine comes with an enrollment code. ``fields``: those of GATEWAY_FIELDS."""
    gateway = Gateway(**fields)
    saving.save(gateway)
    audit.record(actor=actor, verb="gateway.create", target=gateway, after=_values(gateway))
    return gateway


@transaction.atomic
def gateway_update(*, gateway: Gateway, actor: audit.Actor, **fields: Any) -> Gateway:
    """Change where a gateway is reached; the gateway takes new addresses up when it is started again."""
    before = _values(gateway)
    if found := saving.changed(gateway, fields):
        saving.save(gateway, *found)
    audit.record(actor=actor, verb="gateway.update", target=gateway, before=before, after=_values(gateway))
    config.publish(servers=True)
    return gateway


@transaction.atomic
def gateway_delete(*, gateway: Gateway, actor: audit.Actor) -> None:
    """Forget a gateway: its key no longer opens the console, and connector servers stop dialling it.

    Raises ``Conflict`` while it still carries flows, since its users would be cut off unasked.
    """
    if gateway.is_heard and gateway.open_flows:
        flows = f"{gateway.open_flows:,} connection{'s' if gateway.open_flows != 1 else ''}"
        raise Conflict(f"{gateway.name} still carries {flows}. Stop the gateway on its machine first.")
    audit.record(actor=actor, verb="gateway.delete", target=gateway, before=_values(gateway))
    MachineKey.objects.filter(machine=gateway.pk).delete()
    EnrollmentCode.objects.filter(target=gateway.pk).delete()
    gateway.delete()
    config.publish(servers=True)
