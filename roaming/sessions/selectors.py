"""Reads of live sessions."""

from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils import timezone

from roaming.accounts.models import ClientAccount
from roaming.instances.models import Instance
from roaming.sessions.models import LogonFailures, UserSession


def live_sessions_by_account(accounts: Sequence[ClientAccount]) -> dict[str, list[UserSession]]:
    """Return the live sessions of each account by its id, newest first; one query for all accounts."""
    found: dict[str, list[UserSession]] = {account.pk: [] for account in accounts}
    live = UserSession.objects.filter(account__in=list(found), ended_at=None).order_by("-created_at")
    for session in live if found else ():
        found[str(session.account_id)].append(session)
    return found


def live_sessions_of(instance: Instance) -> QuerySet[UserSession]:
    return UserSession.objects.filter(instance=instance, ended_at=None).select_related("gateway")


def lock_outs() -> QuerySet[LogonFailures]:
    """Return who is locked out or slowed now."""
    return LogonFailures.objects.filter(until__gt=timezone.now()).select_related("account__instance")
