"""Users who log in by a provider of OpenID Connect: found by the provider's word alone, with the role of their groups.

A user is the provider's issuer and subject, which nobody else has there. Names and e-mail addresses, which may be
another's, lead to no user. What is verified here is only the claims' meaning: `console.users.openid_client` verifies
who made them.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from console.core import audit, people
from console.core.access import ROLES
from console.core.errors import Forbidden
from console.core.models.access import OpenIdentity, User

PROVIDER = audit.System("OpenID Connect")
ASK = "Ask an administrator."


@transaction.atomic
def user_of(claims: Mapping[str, Any]) -> User:
    """Return the user whom a provider names, made at the first log-in, with the role that the groups give now.

    Raises ``Forbidden`` for a user who is disabled, whose groups give no role, or whose name another user has.
    """
    subject, role = str(claims["sub"])[:255], _role(claims)
    known = OpenIdentity.objects.select_related("user").select_for_update(of=("self",))
    identity = known.filter(issuer=settings.OPENID_ISSUER, subject=subject).first()
    if identity is None:
        return _made(subject, role, claims)
    if not identity.user.is_active:
        raise Forbidden(f"{identity.user.username} is disabled in this console. {ASK}")
    return people.user_update(user=identity.user, actor=PROVIDER, role=role, email=_email(claims))


def _made(subject: str, role: str, claims: Mapping[str, Any]) -> User:
    username = str(claims.get("preferred_username") or claims.get("email") or subject)[:150]
    if User.objects.filter(username__iexact=username).exists():
        raise Forbidden(
            f"Another user of this console is called {username}. {ASK} The other user must be deleted first, "
            "since the audit names people by their user names."
        )
    names = {name: str(claims.get(claim) or "")[:150] for name, claim in NAMES.items()}
    user = people.user_create(
        username=username, password=None, actor=PROVIDER, role=role, email=_email(claims), **names
    )
    OpenIdentity.objects.create(user=user, issuer=settings.OPENID_ISSUER, subject=subject)
    return user


NAMES = {"first_name": "given_name", "last_name": "family_name"}


def _role(claims: Mapping[str, Any]) -> str:
    """Return the highest role of a user's groups. Raises ``Forbidden`` for none."""
    groups = claims.get(settings.OPENID_GROUPS_CLAIM) or []
    named = [groups] if isinstance(groups, str) else [str(group) for group in groups]
    roles = [settings.OPENID_ROLES[group] for group in named if group in settings.OPENID_ROLES]
    if not roles:
        raise Forbidden(f"None of your groups gives you a role in this console. {ASK}")
    return max(roles, key=ROLES.index)


def _email(claims: Mapping[str, Any]) -> str:
    """Return the address that the provider tells; "" for what is none."""
    email = str(claims.get("email") or "")
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email
