"""Access keys, by which programs use the cloud API as their user: made, switched, removed."""

import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.core import audit
from console.core.errors import Conflict
from console.core.models.access import ACCESS_KEYS, AccessKey, User
from console.core.sealed import open_text, seal_text
from console.core.switching import switch

MOST = 5
# Last uses are told apart by this much, so that a busy program does not write a row at each call.
USED_EVERY = timedelta(minutes=1)


@transaction.atomic
def access_key_create(*, user: User, actor: audit.Actor) -> tuple[AccessKey, str]:
    """Make a program's key in the cloud's shape (``LTAI`` + 20) and its secret, which is told this once.

    Raises ``Conflict`` for a user who has as many keys as a user may have.
    """
    User.objects.select_for_update().get(pk=user.pk)
    if AccessKey.objects.filter(user=user).count() >= MOST:
        raise Conflict(
            f"{user.username} has {MOST} access keys, which is the most. Delete one of them first."
        )
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


def access_key_used(key: AccessKey) -> None:
    """Note that a request was signed with the key. For the cloud API's front door alone."""
    now = timezone.now()
    long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
    AccessKey.objects.filter(long_ago, pk=key.pk).update(last_used_at=now)


@transaction.atomic
def access_key_switch(*, key: AccessKey, enabled: bool, actor: audit.Actor) -> None:
    """Let a program use the key again, or no longer. Raises ``Conflict`` when the key is so already."""
    switch(key, kind="access_key", enabled=enabled, actor=actor)


@transaction.atomic
def access_key_delete(*, key: AccessKey, actor: audit.Actor) -> None:
    audit.record(actor=actor, verb="access_key.delete", target=key, before={"user": key.user.username})
    key.delete()
