"""One-use links by which users set their own password; whoever makes a link is told its token once.

The table holds a hash of the token. A link ends at its use, after `LIFE`, with the next link of the user, with a
password set otherwise, with another e-mail address, and when the user is disabled.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from console.core import audit, people
from console.core.errors import Conflict, NotFound
from console.core.models.access import LogIn, PasswordLink, User

LIFE = timedelta(hours=24)
GONE = (
    "This link no longer holds: it was used, a newer one was made, or its time is over. Ask for another one."
)


def digest(token: str) -> str:
    """Hash a token, which is random enough that nobody finds the token by its hash."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def link_create(*, user: User, actor: audit.Actor) -> str:
    """Make a link of a user and return its token. Raises ``Conflict`` for a user who is disabled."""
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.is_active:
        raise Conflict(f"{user.username} is disabled. Enable the user first.")
    token = secrets.token_urlsafe(32)
    PasswordLink.objects.filter(user=user).delete()
    PasswordLink.objects.create(user=user, digest=digest(token), expires_at=timezone.now() + LIFE)
    audit.record(actor=actor, verb="user.link_create", target=user)
    return token


@transaction.atomic
def user_invite(*, username: str, actor: audit.Actor, **values: Any) -> tuple[User, str]:
    """Make a user without a password, and a link for the first one; return user and token. Raises as `user_create`."""
    user = people.user_create(username=username, password=None, actor=actor, **values)
    return user, link_create(user=user, actor=actor)


def link_user(token: str) -> User:
    """Return whose link a token is of. Raises ``NotFound``."""
    holds = PasswordLink.objects.filter(expires_at__gt=timezone.now(), user__is_active=True)
    link = holds.select_related("user").filter(digest=digest(token)).first()
    if link is None:
        raise NotFound(GONE)
    return link.user


def link_use(*, token: str, password: str) -> User:
    """Set the password of the link's user, who is logged out elsewhere, and end the link.

    Raises ``NotFound`` for a link that no longer holds, ``Invalid`` naming ``password``. Hashing comes before the
    transaction, since it takes a while.
    """
    hashed = link_user(token)
    people.set_password(hashed, password)
    with transaction.atomic():
        # Compare and take away in one statement: of two who use a link at once, the second finds none.
        if not PasswordLink.objects.filter(digest=digest(token), user=hashed).delete()[0]:
            raise NotFound(GONE)
        user = User.objects.select_for_update().get(pk=hashed.pk)
        user.password = hashed.password
        user.save(update_fields=["password"])
        LogIn.objects.filter(user=user).delete()
        audit.record(actor=user, verb="user.link_use", target=user)
    return user


def forget_old() -> int:
    """Delete links whose time is over; return how many. A job of the worker."""
    return PasswordLink.objects.filter(expires_at__lt=timezone.now()).delete()[0]
