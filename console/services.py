"""Writes of the console's own floor: gateways, access keys."""

import base64
import hashlib
import secrets
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import transaction

from console import audit, config, saving
from console.errors import Conflict
from console.models import AccessKey, EnrollmentCode, Gateway, MachineKey, User

GATEWAY_FIELDS = ("name", "region", "public_host", "listen_address", "client_port", "tunnel_port")


def _values(gateway: Gateway) -> dict[str, Any]:
    return {field: str(getattr(gateway, field)) for field in GATEWAY_FIELDS}


@transaction.atomic
def gateway_create(*, actor: audit.Actor, **fields: Any) -> Gateway:
    """A gateway's record; the machine itself comes with an enrollment code. ``fields``: those of GATEWAY_FIELDS."""
    gateway = Gateway(**fields)
    saving.save(gateway)
    audit.record(actor=actor, verb="gateway.create", target=gateway, after=_values(gateway))
    return gateway


@transaction.atomic
def gateway_update(*, gateway: Gateway, actor: audit.Actor, **fields: Any) -> Gateway:
    """Change where a gateway is reached. It takes the new addresses up when it is started again."""
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
        raise Conflict(f"{gateway.name} still carries {gateway.open_flows} flows. Stop it first.")
    audit.record(actor=actor, verb="gateway.delete", target=gateway, before=_values(gateway))
    MachineKey.objects.filter(machine=gateway.pk).delete()
    EnrollmentCode.objects.filter(target=gateway.pk).delete()
    gateway.delete()
    config.publish(servers=True)


def _box() -> Fernet:
    digest = hashlib.sha256(b"causeway.access-keys" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


@transaction.atomic
def access_key_create(*, user: User, actor: audit.Actor) -> tuple[AccessKey, str]:
    """A program's key in the cloud's shape (``LTAI`` + 20) and its secret, which is told this once."""
    secret = secrets.token_urlsafe(24)[:30]
    key = AccessKey.objects.create(
        id="LTAI" + secrets.token_hex(10),
        user=user,
        secret_encrypted=_box().encrypt(secret.encode()).decode(),
    )
    audit.record(actor=actor, verb="access_key.create", target=key, after={"user": user.username})
    return key, secret


def access_key_secret(key: AccessKey) -> str:
    """The secret with which a request's signature is checked. For the cloud API's front door alone."""
    return _box().decrypt(key.secret_encrypted.encode()).decode()


@transaction.atomic
def access_key_delete(*, key: AccessKey, actor: audit.Actor) -> None:
    audit.record(actor=actor, verb="access_key.delete", target=key, before={"user": key.user.username})
    key.delete()


def user_password_change(*, user: User, password: str) -> None:
    """Set a user's own new password; it is hashed before the transaction, since that takes a while."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        audit.record(actor=user, verb="user.password_change", target=user)
