"""Reads of what sessions move, for lists of sessions."""

from collections.abc import Sequence

from django.db.models import Count

from roaming.sessions.models import UserSession
from roaming.usage import buckets as usage
from roaming.usage.models.flows import Flow


def session_traffic(sessions: Sequence[UserSession]) -> dict[str, tuple[int, int, int]]:
    """Return (open flows, bytes up, bytes down) of each session by its id; two queries for all sessions."""
    keys = [session.pk for session in sessions]
    still = Flow.objects.filter(session__in=keys, ended_at=None).order_by()
    flows = dict(still.values_list("session").annotate(Count("pk")))
    moved = usage.totals(keys)
    return {key: (flows.get(key, 0), *moved.get(key, (0, 0))) for key in keys}
