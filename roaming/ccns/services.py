"""Writes to CCNs and their cloud networks."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from django.db import transaction

from console.core import audit, saving
from console.core.errors import Conflict, Invalid
from console.machines import config
from console.models import Area
from roaming.ccns.models import CCN, CloudNetwork
from roaming.networks import first_overlap, parse_block


@transaction.atomic
def ccn_create(
    *, name: str, area: Area, description: str = "", networks: Sequence[str] = (), actor: audit.Actor
) -> CCN:
    """Make a CCN of ``area`` with its cloud networks. Raises ``Invalid``; fields: name, description, networks."""
    ccn = CCN(name=name, area=area, description=description)
    saving.save(ccn)
    for text in networks:
        _add(ccn, text, field="networks")
    audit.record(
        actor=actor,
        verb="ccn.create",
        target=ccn,
        after={"name": name, "area": area.pk, "networks": list(networks)},
    )
    return ccn


@transaction.atomic
def ccn_update(*, ccn: CCN, name: str, description: str, actor: audit.Actor) -> CCN:
    before, after = saving.change(ccn, name=name, description=description)
    if after:
        audit.record(actor=actor, verb="ccn.update", target=ccn, before=before, after=after)
    return ccn


@transaction.atomic
def ccn_delete(*, ccn: CCN, actor: audit.Actor) -> None:
    """Remove a CCN. Raises ``Conflict`` while instances are bound to the CCN; the sentence names the first instance."""
    CCN.objects.select_for_update().filter(pk=ccn.pk).first()
    bound = ccn.instances.order_by("created_at").first()
    if bound is not None:
        raise Conflict(
            f"{ccn.name} is bound to the instance {bound.name} ({bound.pk}). Bind that to another CCN first.",
            code="AlreadyBound.SMARTAG",
        )
    audit.record(actor=actor, verb="ccn.delete", target=ccn, before={"name": ccn.name, "area": ccn.area_id})
    ccn.delete()


@transaction.atomic
def cloud_network_add(*, ccn: CCN, cidr: str, actor: audit.Actor) -> CloudNetwork:
    """Let the instances of ``ccn`` reach one more block. Raises ``Invalid`` (field cidr)."""
    CCN.objects.select_for_update().get(pk=ccn.pk)
    network = _add(ccn, cidr, field="cidr")
    audit.record(actor=actor, verb="ccn.network_add", target=ccn, after={"cidr": network.cidr})
    config.publish()
    return network


@transaction.atomic
def cloud_network_remove(*, network: CloudNetwork, actor: audit.Actor) -> None:
    """Take a cloud network away from its CCN; open flows into the network are cut."""
    ccn = network.ccn
    audit.record(actor=actor, verb="ccn.network_remove", target=ccn, before={"cidr": network.cidr})
    CloudNetwork.objects.filter(pk=network.pk).delete()
    config.publish(cut=f"ccn.network_remove {network.cidr}", target=ccn.pk)


def _add(ccn: CCN, text: str, *, field: str) -> CloudNetwork:
    block = parse_block(text, field=field)
    present = [IPv4Network(cidr) for cidr in ccn.cloud_networks.values_list("cidr", flat=True)]
    if pair := first_overlap([block], present):
        raise Invalid(
            f"{pair[0]} overlaps {pair[1]}, which the CCN holds already.", field=field, code="InvalidCidr"
        )
    network = CloudNetwork(ccn=ccn, cidr=str(block))
    saving.save(network)
    return network
