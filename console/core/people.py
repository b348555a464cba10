"""Writes of the console's users, their passwords, and the access keys of their programs."""

import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from console.core import audit, saving, zones
from console.core.errors import Conflict, Invalid
from console.core.models.access import ACCESS_KEYS, AccessKey, User
from console.core.sealed import open_text, seal_text

# What an administrator says about a user; a user's name stays, since the audit names people by it.
USER_FIELDS = ("email", "first_name", "last_name", "role", "is_staff", "is_superuser", "is_active")
ADMINISTRATOR = User.Role.ADMINISTRATOR


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


def user_create(*, username: str, password: str, actor: audit.Actor, **values: Any) -> User:
    """Make a user. ``values``: of ``USER_FIELDS``. Raises ``Invalid`` naming the field."""
    user = User(username=username, **values)
    _set(user, password)
    with transaction.atomic():
        saving.save(user)
        audit.record(actor=actor, verb="user.create", target=user, after=_facts(user))
    return user


@transaction.atomic
def administrator_made(*, user: User, actor: audit.Actor) -> None:
    """Give a superuser that a command made the role of administrator, and note that there is such a user now."""
    user.role = ADMINISTRATOR
    saving.save(user, "role")
    audit.record(actor=actor, verb="user.create", target=user, after=_facts(user))


@transaction.atomic
def user_update(*, user: User, actor: audit.Actor, **changes: Any) -> User:
    """Change some of ``USER_FIELDS``. Raises ``Conflict`` for the last administrator who could undo the change."""
    user = _locked(user)
    was_administrator = _administers(user)
    before, after = saving.change(user, **changes)
    if was_administrator and not _administers(user):
        _not_the_last(user)
    if after:
        audit.record(actor=actor, verb="user.update", target=user, before=before, after=after)
    return user


@transaction.atomic
def user_delete(*, user: User, actor: audit.Actor) -> None:
    """Remove a user with the access keys. Raises ``Conflict`` for the last administrator."""
    user = _locked(user)
    if _administers(user):
        _not_the_last(user)
    audit.record(actor=actor, verb="user.delete", target=user, before=_facts(user))
    user.delete()


@transaction.atomic
def user_time_zone(*, user: User, name: str, actor: audit.Actor) -> User:
    """Choose the zone in which a user reads and types times; an empty name means the browser's. Raises ``Invalid``."""
    if name and zones.named(name) is None:
        raise Invalid(zones.SENTENCE, field="time_zone")
    user = User.objects.select_for_update().get(pk=user.pk)
    before, after = saving.change(user, time_zone=name)
    if after:
        audit.record(actor=actor, verb="user.time_zone", target=user, before=before, after=after)
    return user


def user_password_set(*, user: User, password: str, actor: audit.Actor) -> None:
    """Give a user another password, which ends the user's log-ins. Raises ``Invalid`` naming ``password``."""
    _set(user, password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        audit.record(actor=actor, verb="user.password_set", target=user)


def user_password_change(*, user: User, password: str) -> None:
    """Set a user's own new password; hashing comes before the transaction, since it takes a while."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        audit.record(actor=user, verb="user.password_change", target=user)


def _set(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error
    user.set_password(password)


def _facts(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in ("username", *USER_FIELDS)}


def _administers(user: User) -> bool:
    """Tell whether a user can manage users: by role, and by the door, which is Django admin."""
    return user.is_active and user.is_staff and (user.role == ADMINISTRATOR or user.is_superuser)


def _locked(user: User) -> User:
    """Read a user anew, with all others who may be staff locked: two administrators cannot remove one another."""
    list(User.objects.filter(is_staff=True).order_by("pk").select_for_update().values_list("pk"))
    return User.objects.select_for_update().get(pk=user.pk)


def _not_the_last(user: User) -> None:
    others = User.objects.filter(is_staff=True, is_active=True).exclude(pk=user.pk)
    if not any(_administers(other) for other in others):
        raise Conflict(
            f"{user.username} is the last user who can manage users. "
            "Give another active user the role of administrator and the staff flag first."
        )
