"""Ends of user sessions. Their beginning is in ``logon``."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from console.core import audit
from console.core.errors import Conflict
from console.machines import config
from roaming.instances.models import Instance
from roaming.sessions.models import UserSession

# So many sessions end in one transaction of a sweep, so that log-ons never wait long behind its locks.
SWEEP = 1000


def end(sessions: QuerySet[UserSession], reason: str) -> int:
    """End the live sessions among ``sessions`` in the caller's transaction, which publishes; return how many.

    Rows are locked in the order of their keys, so that two ends at once do not wait for each other.
    """
    live = sessions.filter(ended_at=None).order_by("pk")
    if not live.select_for_update().values_list("pk", flat=True):
        return 0
    return live.order_by().update(ended_at=timezone.now(), end_reason=reason)


def end_ahead(sessions: QuerySet[UserSession], reason: str) -> int:
    """End live sessions whose end takes nobody else anything, in the caller's transaction; return how many.

    Gateways are told ahead of the configuration, whose version stays.
    """
    locked = sessions.filter(ended_at=None).order_by("pk").select_for_update()
    ends = [config.End(pk, reason, until) for pk, until in locked.values_list("pk", "expires_at")]
    if ends:
        ended = UserSession.objects.filter(pk__in=[each.session for each in ends])
        ended.update(ended_at=timezone.now(), end_reason=reason)
        config.tell_ends(ends)
    return len(ends)


@transaction.atomic
def session_end(*, session: UserSession, actor: audit.Actor) -> None:
    """Kick one session: its token counts no longer and its flows are cut. Raises ``Conflict`` for an ended session."""
    if not end(UserSession.objects.filter(pk=session.pk), UserSession.End.KICKED):
        raise Conflict("This session has ended already.")
    audit.record(actor=actor, verb="session.kick", target=session, before={"client_ip": session.client_ip})
    config.publish(cut=f"session.kick {session.username}", target=session.account_id or session.pk)


@transaction.atomic
def sessions_end(*, instance: Instance, actor: audit.Actor) -> int:
    """Kick all sessions of an instance; return how many. Raises ``Conflict`` when nobody is logged on."""
    ended = end(UserSession.objects.filter(instance=instance), UserSession.End.KICKED)
    if not ended:
        raise Conflict(f"Nobody is logged on to {instance.name}.")
    audit.record(actor=actor, verb="instance.kick", target=instance, after={"sessions": ended})
    config.publish(cut=f"instance.kick {instance.name}", target=instance.pk)
    return ended


def sessions_end_after_restore() -> tuple[str, int]:
    """End all sessions of a restored database: which of them ended since is not known, nor who has their client IPs."""
    return "user sessions", end(UserSession.objects.all(), UserSession.End.KICKED)


def sessions_expire(*, now: datetime | None = None) -> int:
    """Let the worker end sessions whose time is over, so that client IPs return to the pool; return how many.

    Gateways know a token's end by themselves, hence nothing is published.
    """
    total = 0
    while True:
        with transaction.atomic():
            over = UserSession.objects.filter(ended_at=None, expires_at__lte=now or timezone.now())
            keys = list(over.order_by("expires_at").values_list("pk", flat=True)[:SWEEP])
            total += end(UserSession.objects.filter(pk__in=keys), UserSession.End.EXPIRED) if keys else 0
        if len(keys) < SWEEP:
            return total
