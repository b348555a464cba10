"""Writes of the console's users, of their passwords and of their log-ins."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from console.core import audit, saving, sessions, zones
from console.core.errors import Conflict, Invalid, NotFound
from console.core.models.access import LogIn, PasswordLink, User

# What an administrator says about a user; a user's name stays, since the audit names people by it.
USER_FIELDS = ("email", "first_name", "last_name", "role", "is_staff", "is_superuser", "is_active")
ADMINISTRATOR = User.Role.ADMINISTRATOR


def user_create(*, username: str, password: str | None, actor: audit.Actor, **values: Any) -> User:
    """Make a user. ``values``: of ``USER_FIELDS``. Raises ``Invalid`` naming the field.

    Without a password nobody logs in as the user until a link of `console.core.password_links` was used.
    """
    user = User(username=username, **values)
    if password is None:
        user.set_unusable_password()
    else:
        set_password(user, password)
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
    """Change some of ``USER_FIELDS``. Raises ``Conflict`` for the last administrator who could undo the change.

    A user who is disabled is logged out everywhere. A link for a password, mailed to an address that changes, no longer
    holds, nor does that of a user who is disabled.
    """
    user = _locked(user)
    was_administrator = _administers(user)
    before, after = saving.change(user, **changes)
    if was_administrator and not _administers(user):
        _not_the_last(user)
    if after:
        audit.record(actor=actor, verb="user.update", target=user, before=before, after=after)
    if "email" in after or not user.is_active:
        PasswordLink.objects.filter(user=user).delete()
    if not user.is_active:
        LogIn.objects.filter(user=user).delete()
    return user


@transaction.atomic
def user_switch(*, user: User, enabled: bool, actor: audit.Actor) -> User:
    """Let a user log in again, or no longer. Raises ``Conflict`` when the user is so already, and as `user_update`."""
    if _locked(user).is_active == enabled:
        raise Conflict(f"{user.username} is already {'enabled' if enabled else 'disabled'}.")
    return user_update(user=user, actor=actor, is_active=enabled)


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
    set_password(user, password)
    with transaction.atomic():
        _password_save(user)
        audit.record(actor=actor, verb="user.password_set", target=user)


def user_password_change(*, user: User, password: str) -> None:
    """Set a user's own new password; hashing comes before the transaction, since it takes a while."""
    user.set_password(password)
    with transaction.atomic():
        _password_save(user)
        audit.record(actor=user, verb="user.password_change", target=user)


@transaction.atomic
def log_in_end(*, user: User, public_id: str, actor: audit.Actor) -> None:
    """End one log-in of a user. Raises ``NotFound`` for one that is over, or another user's."""
    row = sessions.live(user).filter(public_id=public_id).first() if public_id else None
    if row is None:
        raise NotFound("There is no such log-in. It may have ended.")
    row.delete()
    audit.record(actor=actor, verb="user.sign_out", target=user, before={"address": row.address})


@transaction.atomic
def log_ins_end(*, user: User, actor: audit.Actor, but: str = "") -> int:
    """End a user's log-ins, except the one of the public id ``but``; return how many ended."""
    found = sessions.live(user)
    number = (found.exclude(public_id=but) if but else found).delete()[0]
    if number:
        audit.record(actor=actor, verb="user.sign_out", target=user, before={"log_ins": number})
    return number


def set_password(user: User, password: str) -> None:
    """Set a password on the row, unsaved. Raises ``Invalid`` naming ``password``."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error
    user.set_password(password)


def _password_save(user: User) -> None:
    """Save a new password; log-ins by the one before end, and a link that would set another."""
    user.save(update_fields=["password"])
    PasswordLink.objects.filter(user=user).delete()
    LogIn.objects.filter(user=user).delete()


def _facts(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in ("username", *USER_FIELDS)}


def _administers(user: User) -> bool:
    """Tell whether a user can manage users: by the role, or by Django admin as a superuser; and has a way to log in."""
    by_admin = user.is_staff and user.is_superuser
    return user.is_active and user.has_usable_password() and (user.role == ADMINISTRATOR or by_admin)


# Users who may be administrators; `_administers` decides.
_MAY = Q(role=ADMINISTRATOR) | Q(is_staff=True, is_superuser=True)


def _locked(user: User) -> User:
    """Read a user anew, with all others who may administer locked: two administrators cannot remove one another."""
    list(User.objects.filter(_MAY).order_by("pk").select_for_update().values_list("pk"))
    return User.objects.select_for_update().get(pk=user.pk)


def _not_the_last(user: User) -> None:
    others = User.objects.filter(_MAY, is_active=True).exclude(pk=user.pk)
    if not any(_administers(other) for other in others):
        raise Conflict(
            f"{user.username} is the last user who can manage users. "
            "Give another active user, who has a password, the role of administrator first."
        )
