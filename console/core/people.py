"""Writes of users' passwords and of the access keys of their programs."""

import secrets

from django.db import transaction

from console.core import audit
from console.core.models.access import ACCESS_KEYS, AccessKey, User
from console.core.sealed import open_text, seal_text


@transaction.atomic
def access_key_create(*, user: User, actor: audit.Actor) -> tuple[AccessKey, str]:
    """Make a program's key in the cloud's shape (``LTAI`` + 20) and its secret, which is told this once."""
    secret = secrets.token_urlsafe(24)[:30]
    key = AccessKey.objects.create(
        id="LTAI" + secrets.token_hex(10),
        user=user,
        secret_encrypted=seal_text(ACCESS_KEYS, secret),
    )
    audit.record(actor=actor, verb="access_key.create", target=key, after={"user": user.username})
    return key, secret


def access_key_secret(key: AccessKey) -> str:
    """Return the secret that checks a request's signature. For the cloud API's front door alone."""
    return open_text(ACCESS_KEYS, key.secret_encrypted)


@transaction.atomic
def access_key_delete(*, key: AccessKey, actor: audit.Actor) -> None:
    audit.record(actor=actor, verb="access_key.delete", target=key, before={"user": key.user.username})
    key.delete()


def user_password_change(*, user: User, password: str) -> None:
    """Set a user's own new password; hashing comes before the transaction, since it takes a while."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        audit.record(actor=user, verb="user.password_change", target=user)
