"""Writes to instances."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from django.db import transaction
from django.db.models import Q

from console.core import audit, saving
from console.core.errors import Conflict, Invalid, NotFound, Refusal
from console.machines import config
from console.models import Region
from roaming.accounts.models import ClientAccount
from roaming.ccns import services as ccns
from roaming.ccns.models import CCN
from roaming.instances.models import Instance, InstanceCidr
from roaming.networks import holds, parse_instance_blocks, usable_count, usable_range
from roaming.sessions import services as sessions
from roaming.sessions.models import UserSession


@transaction.atomic
def instance_create(
    *,
    region: Region,
    name: str,
    account_quota: int = 10,
    cidrs: Sequence[str] = (),
    ccn: CCN | None = None,
    new_ccn: str = "",
    description: str = "",
    dns1: str | None = None,
    dns2: str | None = None,
    actor: audit.Actor,
) -> Instance:
    """Make an instance in ``region``, with its private blocks. Raises ``Invalid``; fields as the parameters are named.

    ``new_ccn``: the name of a CCN to be made in the region's area, in the place of ``ccn``.
    """
    ccn = _new_ccn(new_ccn, region, actor) if new_ccn else ccn
    _check_area(region, ccn)
    instance = Instance(
        region=region,
        name=name,
        account_quota=account_quota,
        ccn=ccn,
        description=description,
        dns1=dns1 or None,
        dns2=dns2 or None,
    )
    saving.clean(instance)
    blocks = parse_instance_blocks(cidrs, quota=account_quota)
    saving.save(instance)
    _write_blocks(instance, blocks)
    audit.record(
        actor=actor,
        verb="instance.create",
        target=instance,
        after={
            "name": name,
            "region": region.pk,
            "account_quota": account_quota,
            **_network(instance, blocks),
        },
    )
    config.publish()
    return instance


@transaction.atomic
def instance_update(
    *, instance: Instance, name: str, description: str, account_quota: int, actor: audit.Actor
) -> Instance:
    """Set name, description and quota: the quota goes up as far as the blocks hold, down to the accounts in use."""
    instance = lock(instance.pk)
    used = instance.accounts.count()
    if account_quota < used:
        raise Invalid(
            f"The quota cannot be less than the number of client accounts, {used}.",
            field="account_quota",
            code="SAG.InvalidUserCount",
        )
    blocks = instance.blocks()
    if blocks and (room := usable_count(blocks)) < account_quota:
        raise Invalid(
            f"The CIDR blocks hold {room} usable addresses; the quota cannot be more.",
            field="account_quota",
            code="SAG.IpCountTooLittle",
        )
    before, after = saving.change(instance, name=name, description=description, account_quota=account_quota)
    if after:
        audit.record(actor=actor, verb="instance.update", target=instance, before=before, after=after)
    return instance


@transaction.atomic
def instance_network_update(
    *,
    instance: Instance,
    cidrs: Sequence[str],
    ccn: CCN | None,
    new_ccn: str = "",
    dns1: str | None = None,
    dns2: str | None = None,
    actor: audit.Actor,
) -> Instance:
    """Set blocks, CCN and DNS. Sessions whose client IP lies in no block any more end; static IPs must stay inside.

    ``new_ccn``: the name of a CCN to be made in the area, in the place of ``ccn``. Raises ``Invalid`` (cidrs, ccn,
    new_ccn, dns1, dns2).
    """
    instance = lock(instance.pk)
    ccn = _new_ccn(new_ccn, instance.region, actor) if new_ccn else ccn
    _check_area(instance.region, ccn)
    blocks = parse_instance_blocks(cidrs, quota=instance.account_quota)
    _check_accounts_fit(instance, blocks)
    before = _network(instance, instance.blocks())
    saving.change(instance, ccn=ccn, dns1=dns1 or None, dns2=dns2 or None)
    after = _network(instance, blocks)
    if before == after:
        return instance
    instance.cidrs.all().delete()
    _write_blocks(instance, blocks)
    outside = UserSession.objects.filter(instance=instance).exclude(_inside("client_ip", blocks))
    sessions.end(outside, UserSession.End.KICKED)
    audit.record(actor=actor, verb="instance.network", target=instance, before=before, after=after)
    config.publish(cut=f"instance.network {instance.name}", target=instance.pk)
    return instance


@transaction.atomic
def instance_stop(*, instance: Instance, actor: audit.Actor) -> Instance:
    """Refuse log-ons and flows of an instance from now on; sessions end. Raises ``Conflict`` when stopped already."""
    instance = _switch(instance, Instance.Status.ACTIVE, Instance.Status.STOPPED, actor)
    sessions.end(UserSession.objects.filter(instance=instance), UserSession.End.INSTANCE_INACTIVE)
    config.publish(cut=f"instance.stop {instance.name}", target=instance.pk)
    return instance


@transaction.atomic
def instance_start(*, instance: Instance, actor: audit.Actor) -> Instance:
    instance = _switch(instance, Instance.Status.STOPPED, Instance.Status.ACTIVE, actor)
    config.publish()
    return instance


def lock(instance_id: str, *, deleting: bool = False) -> Instance:
    """Return the instance as it is now, its row locked: every change of its blocks, accounts or leases queues here.

    Raises ``NotFound`` for a removed instance, and ``Conflict`` for one that is being deleted unless ``deleting``.
    """
    rows = Instance.objects.select_for_update(of=("self",), no_key=True).select_related("region__area", "ccn")
    instance = rows.filter(pk=instance_id).first()
    if instance is None:
        raise NotFound("This instance does not exist any more.", code="SAG.InstanceNoFound")
    if instance.is_deleting and not deleting:
        raise Conflict(f"{instance.name} is being deleted.")
    return instance


def _switch(instance: Instance, old: str, new: str, actor: audit.Actor) -> Instance:
    if not Instance.objects.filter(pk=instance.pk, status=old).update(status=new):
        present = Instance.objects.filter(pk=instance.pk).values_list("status", flat=True).first() or new
        already = " already" if present == new else ""
        raise Conflict(f"{instance.name} is {Instance.Status(present).label.lower()}{already}.")
    instance.status = new
    audit.record(
        actor=actor, verb="instance.status", target=instance, before={"status": old}, after={"status": new}
    )
    return instance


def _new_ccn(name: str, region: Region, actor: audit.Actor) -> CCN:
    try:
        return ccns.ccn_create(name=name, area=region.area, actor=actor)
    except Refusal as refusal:
        refusal.field = "new_ccn"
        raise


def _check_area(region: Region, ccn: CCN | None) -> None:
    if ccn is not None and ccn.area_id != region.area_id:
        raise Invalid(
            f"The CCN {ccn.name} lies in another area; choose one in {region.area.name}.",
            field="ccn",
            code="InvalidId.CCN",
        )


def _check_accounts_fit(instance: Instance, blocks: list[IPv4Network]) -> None:
    if not blocks and instance.accounts.exists():
        raise Invalid(
            "An instance with client accounts needs at least one CIDR block.",
            field="cidrs",
            code="SAG.CidrEmpty",
        )
    fixed = ClientAccount.objects.filter(instance=instance, static_ip__isnull=False)
    outside = fixed.exclude(_inside("static_ip", blocks)).order_by("static_ip").first()
    if outside is not None and outside.static_ip and not holds(blocks, outside.static_ip):
        raise Invalid(
            f"The static IP {outside.static_ip} of {outside.username} would lie in none of the blocks.",
            field="cidrs",
            code="SAG.InvalidCidr",
        )


def _inside(field: str, blocks: Iterable[IPv4Network]) -> Q:
    """Select rows whose address a client may have in ``blocks``; none when there are no blocks."""
    condition = Q(pk__in=[])
    for block in blocks:
        condition |= Q(**{f"{field}__range": usable_range(block)})
    return condition


def _write_blocks(instance: Instance, blocks: list[IPv4Network]) -> None:
    InstanceCidr.objects.bulk_create(
        InstanceCidr(instance=instance, cidr=str(block), position=place) for place, block in enumerate(blocks)
    )


def _network(instance: Instance, blocks: list[IPv4Network]) -> dict[str, object]:
    return {
        "cidrs": [str(block) for block in blocks],
        "ccn": instance.ccn_id,
        "dns": [address for address in (instance.dns1, instance.dns2) if address],
    }
