"""The overview's figures: each app contributes its own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from console.models import Gateway
from console.models.machines import SILENT_AFTER


@dataclass(frozen=True)
class Card:
    """One figure. ``value`` is ready to read, ``—`` when it is not known; ``note`` is a sentence below it."""

    label: str
    value: str
    note: str
    url: str
    order: int


@dataclass(frozen=True)
class Chart:
    """``render``: what stands below its heading, in words as well, for the time that the request's query asks for."""

    label: str
    render: Callable[[HttpRequest], SafeString]


charts: list[Chart] = []
Contributor = Callable[[], list[Card]]
_contributors: list[Contributor] = []


def contribute(cards: Contributor) -> Contributor:
    _contributors.append(cards)
    return cards


def cards() -> list[Card]:
    found = [card for contributor in _contributors for card in contributor()]
    return sorted(found, key=lambda card: card.order)


@contribute
def gateway_cards() -> list[Card]:
    gateways = list(Gateway.objects.filter(enrolled_at__isnull=False).only("heard_at", "open_flows"))
    heard = [gateway for gateway in gateways if gateway.is_heard]
    flows = [gateway.open_flows for gateway in heard if gateway.open_flows is not None]
    silence = timedelta(seconds=SILENT_AFTER.total_seconds())
    oldest = min((gateway.heard_at for gateway in heard if gateway.heard_at), default=None)
    age = (
        f"the longest silence is {int((timezone.now() - oldest).total_seconds())} s"
        if oldest
        else "none was heard of"
    )
    return [
        Card(
            "Gateways reached",
            f"{len(heard)} of {len(gateways)}",
            f"Heard of within {int(silence.total_seconds())} s; {age}.",
            "gateways:list",
            20,
        ),
        Card(
            "Open flows",
            str(sum(flows)) if flows else "—",
            "As the gateways report them.",
            "gateways:list",
            50,
        ),
    ]
