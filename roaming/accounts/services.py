"""Writes to client accounts."""

import secrets
import string
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from console.core import audit, saving
from console.core.errors import Conflict, Invalid, NotFound
from console.machines import config
from roaming.accounts.models import ClientAccount
from roaming.instances import services as instances
from roaming.instances.models import Instance
from roaming.networks import holds
from roaming.rules import BANDWIDTH, EMAIL, PASSWORD, USERNAME
from roaming.sessions import services as sessions
from roaming.sessions.models import UserSession

PASSWORD_LETTERS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
PASSWORD_LENGTH = 16


def new_password() -> str:
    """Return 16 letters and digits (93 bits) that read unambiguously."""
    return "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH))


def account_create(
    *,
    instance: Instance,
    email: str,
    username: str = "",
    password: str = "",
    bandwidth_kbps: int = 2000,
    static_ip: str | None = None,
    password_hash: str = "",
    actor: audit.Actor,
) -> tuple[ClientAccount, str | None]:
    """Add an account; return the account, and the password if one had to be generated, which is shown this once.

    A blank user name becomes the e-mail address. ``password_hash``: from ``hashed``, in the place of ``password``, for
    callers that make the hash before a transaction of their own. Raises ``Invalid`` with the documented codes; fields
    as parameters.
    """
    username = username or email
    _check_fields(username=username, email=email, bandwidth_kbps=bandwidth_kbps)
    generated = None if password or password_hash else new_password()
    # Hashed before the transaction: the row locks must not wait for it.
    encoded = password_hash or hashed(password or generated or "")
    with transaction.atomic():
        instance = instances.lock(instance.pk)
        _check_room(instance, username)
        account = ClientAccount(
            instance=instance,
            username=username,
            email=email,
            password=encoded,
            bandwidth_kbps=bandwidth_kbps,
            static_ip=_checked_static_ip(instance, static_ip),
        )
        account.origin = account.pk
        saving.save(account)
        audit.record(actor=actor, verb="account.create", target=account, after=_described(account))
    return account, generated


@transaction.atomic
def account_update(
    *, account: ClientAccount, email: str, bandwidth_kbps: int, actor: audit.Actor
) -> ClientAccount:
    """Change e-mail and bandwidth; gateways hold new flows to the new bandwidth. Raises ``Invalid``."""
    _check_fields(username=account.username, email=email, bandwidth_kbps=bandwidth_kbps)
    before, after = saving.change(account, email=email, bandwidth_kbps=bandwidth_kbps)
    if after:
        audit.record(actor=actor, verb="account.update", target=account, before=before, after=after)
    if "bandwidth_kbps" in after:
        config.publish()
    return account


@transaction.atomic
def account_enable(*, account: ClientAccount, with_copies: bool = False, actor: audit.Actor) -> ClientAccount:
    """Let an account log on again, and all its copies if asked. Raises ``Conflict`` when all are enabled already."""
    rows = _locked(account, with_copies, enabled=False)
    if not rows:
        raise Conflict(f"{_named(account, with_copies)} enabled already.")
    ClientAccount.objects.filter(pk__in=[row.pk for row in rows]).update(enabled=True)
    for row in rows:
        audit.record(actor=actor, verb="account.enable", target=row)
    account.enabled = True
    return account


@transaction.atomic
def account_disable(
    *, account: ClientAccount, with_copies: bool = False, actor: audit.Actor
) -> ClientAccount:
    """Refuse log-ons of an account from now on; live sessions end, flows are cut. Raises ``Conflict`` when disabled."""
    rows = _locked(account, with_copies, enabled=True)
    if not rows:
        raise Conflict(f"{_named(account, with_copies)} disabled already.")
    ClientAccount.objects.filter(pk__in=[row.pk for row in rows]).update(enabled=False)
    sessions.end(UserSession.objects.filter(account__in=rows), UserSession.End.ACCOUNT_DISABLED)
    for row in rows:
        audit.record(actor=actor, verb="account.disable", target=row)
    config.publish(cut=f"account.disable {account.username}", target=account.pk)
    account.enabled = False
    return account


@transaction.atomic
def account_kick(*, account: ClientAccount, with_copies: bool = False, actor: audit.Actor) -> int:
    """End the live sessions of an account, which may log on again; return how many. Raises ``Conflict`` without any."""
    total = 0
    for row in _locked(account, with_copies):
        ended = sessions.end(UserSession.objects.filter(account=row), UserSession.End.KICKED)
        if ended:
            audit.record(actor=actor, verb="account.kick", target=row, after={"sessions": ended})
        total += ended
    if not total:
        raise Conflict(f"{account.username} is not logged on.")
    config.publish(cut=f"account.kick {account.username}", target=account.pk)
    return total


@transaction.atomic
def account_delete(*, account: ClientAccount, with_copies: bool = False, actor: audit.Actor) -> None:
    """Remove an account, and its copies only if asked; sessions end. Raises ``NotFound`` for a removed one."""
    rows = _locked(account, with_copies)
    if account.pk not in [row.pk for row in rows]:
        raise NotFound(f"{account.username} was removed already.", code="SagClientUserNotExist")
    sessions.end(UserSession.objects.filter(account__in=rows), UserSession.End.ACCOUNT_DELETED)
    for row in rows:
        audit.record(actor=actor, verb="account.delete", target=row, before=_described(row))
    config.publish(cut=f"account.delete {account.username}", target=account.pk)
    ClientAccount.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _locked(account: ClientAccount, with_copies: bool, **narrowed: bool) -> list[ClientAccount]:
    """Return the account, and its copies if asked, locked in the order of their keys, so that two never deadlock."""
    wanted = Q(origin=account.origin) if with_copies else Q(pk=account.pk)
    return list(ClientAccount.objects.select_for_update().filter(wanted, **narrowed).order_by("pk"))


def _named(account: ClientAccount, with_copies: bool) -> str:
    return f"{account.username} and all its copies are" if with_copies else f"{account.username} is"


def account_reset_password(*, account: ClientAccount, password: str = "", actor: audit.Actor) -> str | None:
    """Set a password on the account and all its copies, and end their sessions; return the password if generated."""
    generated = None if password else new_password()
    encoded = hashed(password or generated or "")
    with transaction.atomic():
        copies = ClientAccount.objects.filter(origin=account.origin)
        locked = list(copies.order_by("pk").select_for_update().values_list("pk", flat=True))
        if account.pk not in locked:
            raise NotFound(f"{account.username} was removed meanwhile.", code="SagClientUserNotExist")
        copies.update(password=encoded)
        sessions.end(UserSession.objects.filter(account__in=locked), UserSession.End.PASSWORD_RESET)
        audit.record(
            actor=actor, verb="account.reset_password", target=account, after={"accounts": len(locked)}
        )
        config.publish(cut=f"account.reset_password {account.username}", target=account.pk)
    return generated


def hashed(password: str) -> str:
    """Return the hash of a legal password; the hash is slow, to make guessing slow. Raises ``Invalid``."""
    try:
        PASSWORD(password)
    except ValidationError as error:
        raise Invalid(error.messages[0], field="password") from error
    return make_password(password)


def field_problems(*, username: str, email: str, bandwidth_kbps: int) -> list[str]:
    """Return a sentence for each field that breaks its rule."""
    return [refusal.message for refusal in _broken_rules(username, email, bandwidth_kbps)]


def _check_fields(*, username: str, email: str, bandwidth_kbps: int) -> None:
    """Raise ``Invalid`` with the documented code for the first field that breaks its rule."""
    for refusal in _broken_rules(username, email, bandwidth_kbps):
        raise refusal


def _broken_rules(username: str, email: str, bandwidth_kbps: int) -> Iterator[Invalid]:
    rules: list[tuple[str, object, Sequence[Callable[[Any], None]], str]] = [
        ("email", email, [EMAIL], "ClientUser.EmailInvalid" if email else "ClientUser.EmailEmpty"),
        ("username", username, [USERNAME], "ClientUser.NameInvalid"),
        ("bandwidth_kbps", bandwidth_kbps, BANDWIDTH, "ClientUser.BandwidthInvalid"),
    ]
    for field, value, validators, code in rules:
        for validate in validators:
            try:
                validate(value)
            except ValidationError as error:
                yield Invalid(error.messages[0], field=field, code=code)


def _check_room(instance: Instance, username: str) -> None:
    if not instance.cidrs.exists():
        raise Invalid(
            f"{instance.name} has no private CIDR block yet. Add one in its network configuration.",
            code="SAG.CidrEmpty",
        )
    if instance.accounts.filter(username_key=username.lower()).exists():
        raise Invalid(
            f"{instance.name} has a client account named {username} already.",
            field="username",
            code="ClientUser.UserExist",
        )
    if instance.accounts.count() >= instance.account_quota:
        raise Invalid(
            f"The quota of {instance.account_quota} client accounts of {instance.name} is used up.",
            code="ClientUser.UserOverLimit",
        )


def _checked_static_ip(instance: Instance, text: str | None) -> str | None:
    """Return the address, normalised. Raises ``Invalid`` unless the address is inside the blocks and nobody else's."""
    if not text:
        return None
    try:
        address = ClientAccount._meta.get_field("static_ip").to_python(text)
    except ValidationError as error:
        raise Invalid(error.messages[0], field="static_ip", code="ClientUser.IpInvalid") from error
    blocks = instance.blocks()
    if address is None or not holds(blocks, address):
        raise Invalid(
            f"{address} is not a usable address of {', '.join(map(str, blocks))}.",
            field="static_ip",
            code="ClientUser.InvalidClientIp",
        )
    owner = instance.accounts.filter(static_ip=address).first()
    if owner is not None:
        raise Invalid(
            f"{address} belongs to {owner.username}.", field="static_ip", code="ClientUser.InvalidClientIp"
        )
    lease = UserSession.objects.filter(instance=instance, client_ip=address, ended_at=None).first()
    if lease is not None:
        raise Invalid(
            f"{address} is leased to {lease.username} at present. Choose another, or end that session first.",
            field="static_ip",
            code="ClientUser.InvalidClientIp",
        )
    return address


def _described(account: ClientAccount) -> dict[str, object]:
    return {
        "username": account.username,
        "email": account.email,
        "instance": account.instance_id,
        "bandwidth_kbps": account.bandwidth_kbps,
        "static_ip": account.static_ip,
        "source": account.source_id,
    }
