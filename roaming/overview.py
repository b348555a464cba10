"""Figures of this app on the overview."""

from console.ports import Card
from roaming.sessions.models import UserSession


def cards() -> list[Card]:
    live = UserSession.objects.filter(ended_at=None).count()
    return [
        Card("Live sessions", f"{live:,}", "Log-ons of client accounts, all areas.", "roaming:instances", 40)
    ]
