"""Roaming: copying a client account to an instance in another area (facts A.6)."""

from django.db import transaction

from console import audit
from console.errors import Conflict, Invalid
from roaming.models import ClientAccount, Instance
from roaming.networks import first_overlap
from roaming.services import base, instances


@transaction.atomic
def account_roam(*, account: ClientAccount, destination: Instance, actor: audit.Actor) -> ClientAccount:
    """A copy of ``account`` on ``destination``: same user name, same password hash; a static IP becomes a leased one.

    Raises ``Invalid`` with the documented code for the first limit that is not kept.
    """
    # Both instances are locked, in the order of their ids, so that two opposite roamings do not wait for each other.
    both = sorted({account.instance_id, destination.pk})
    locked = {pk: instances.lock(pk) for pk in both}
    source, target = locked[account.instance_id], locked[destination.pk]
    account = ClientAccount.objects.get(pk=account.pk)
    check_limits(account, source, target)
    copy = ClientAccount(
        instance=target,
        username=account.username,
        email=account.email,
        password=account.password,
        bandwidth_kbps=account.bandwidth_kbps,
        enabled=account.enabled,
        source=account,
        origin=account.origin,
    )
    base.insert(copy)
    audit.record(
        actor=actor,
        verb="account.roam",
        target=copy,
        after={"username": copy.username, "from": source.pk, "to": target.pk, "source": account.pk},
    )
    return copy


def check_limits(account: ClientAccount, source: Instance, target: Instance) -> None:
    """Raise for the first limit that forbids the copy."""
    if source.region.area_id == target.region.area_id:
        raise Invalid(
            f"{target.name} lies in the same area as {source.name}; choose an instance in another area.",
            field="area",
            code="InvalidParameter.SameArea",
        )
    if not target.is_active:
        raise Conflict(f"{target.name} is not available at present.", code="ClientUser.NotSupportAction")
    here, there = source.blocks(), target.blocks()
    if not here or not there:
        empty = target if here else source
        raise Invalid(f"{empty.name} has no private CIDR block yet.", field="instance", code="SAG.CidrEmpty")
    if pair := first_overlap(here, there):
        raise Invalid(
            f"{pair[0]} of {source.name} overlaps {pair[1]} of {target.name}.",
            field="instance",
            code="SAG.CidrOverlap",
        )
    if target.accounts.filter(username_key=account.username.lower()).exists():
        raise Invalid(
            f"{target.name} has a client account named {account.username} already.",
            field="instance",
            code="ClientUser.UserExist",
        )
    if target.accounts.count() >= target.account_quota:
        raise Invalid(
            f"The quota of {target.account_quota} client accounts of {target.name} is used up.",
            field="instance",
            code="ClientUser.UserOverLimit",
        )
