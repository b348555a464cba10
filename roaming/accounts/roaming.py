"""Roaming: copying a client account to an instance in another area, within the limits of roaming/accounts/limits.py."""

from django.db import transaction

from console.core import audit, saving
from console.core.errors import NotFound
from roaming.accounts import limits
from roaming.accounts.models import ClientAccount
from roaming.instances import services as instances
from roaming.instances.models import Instance


@transaction.atomic
def account_roam(*, account: ClientAccount, destination: Instance, actor: audit.Actor) -> ClientAccount:
    """Copy ``account`` to ``destination``: same user name, same password hash; a static IP becomes a leased one.

    Raises the first limit that is not kept (``accounts.limits``), with its documented code, and ``NotFound`` when
    an instance or the account was removed.
    """
    # Both instances are locked, in the order of their ids, so that two opposite roamings do not wait for each other.
    both = sorted({account.instance_id, destination.pk})
    locked = {pk: instances.lock(pk) for pk in both}
    source, target = locked[account.instance_id], locked[destination.pk]
    account = _locked(account)
    broken = limits.first_broken(
        limits.check(account.username, _side(source), _side(target, account.username))
    )
    if broken is not None:
        raise broken.refusal()
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
    saving.save(copy)
    audit.record(
        actor=actor,
        verb="account.roam",
        target=copy,
        after={"username": copy.username, "from": source.pk, "to": target.pk, "source": account.pk},
    )
    return copy


def check_instances(source: Instance, target: Instance) -> None:
    """Raise for the first limit that forbids every copy from ``source`` to ``target``, whoever roams."""
    broken = limits.first_broken(limits.check("", _side(source), _side(target, "")))
    if broken is not None:
        raise broken.refusal()


def _locked(account: ClientAccount) -> ClientAccount:
    """Return the locked row: a concurrent password reset comes before the copy, or reaches the copy as well."""
    found = ClientAccount.objects.select_for_update().filter(pk=account.pk).first()
    if found is None:
        raise NotFound(f"{account.username} was removed meanwhile.", code="ClientUser.NameInvalid")
    return found


def _side(instance: Instance, wanted: str | None = None) -> limits.Side:
    """Return what the limits ask of a locked instance; of a destination, with the user name that is wanted there."""
    accounts = instance.accounts
    return limits.Side(
        name=instance.name,
        area=instance.region.area_id,
        active=instance.is_active,
        blocks=instance.blocks(),
        quota=instance.account_quota,
        used=accounts.count() if wanted is not None else 0,
        holds_name=bool(wanted) and accounts.filter(username_key=str(wanted).lower()).exists(),
    )
