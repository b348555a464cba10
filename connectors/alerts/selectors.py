"""Reads of alerts that pages share: settings of a connector, words of rows, warnings, the overview's figure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from connectors.alerts import evaluation
from connectors.alerts.kinds import KINDS, Kind, rules_of
from connectors.alerts.models import Alert, AlertRule, AlertSettings
from connectors.alerts.notices import Silences
from connectors.alerts.readings import shown
from console.ports import Card
from console.push import outbox
from console.templatetags.causeway import duration

# Age of the last look at which the worker counts as silent: it writes every HEARTBEAT, and a round may be slow.
SILENT = evaluation.HEARTBEAT + timedelta(seconds=40)


@dataclass(frozen=True)
class Setting:
    """Row of the Alert Setting tab."""

    kind: Kind
    rule: AlertRule
    firing: int
    pending: int

    @property
    def threshold(self) -> str:
        return shown(self.kind.name, self.rule.threshold)

    @property
    def hold(self) -> str:
        seconds = self.rule.hold_seconds
        return in_words(timedelta(seconds=seconds)) if seconds else "At once"


def settings_of(connector_id: str | None) -> list[Setting]:
    """Return the types of a connector (None: the gateways) with their rules and numbers of alerts. Run two queries."""
    counts = {row["kind"]: row for row in _counts(connector_id)}
    return [
        Setting(
            KINDS[rule.kind],
            rule,
            firing=counts.get(rule.kind, {}).get("firing", 0),
            pending=counts.get(rule.kind, {}).get("pending", 0),
        )
        for rule in rules_of(connector_id)
    ]


def _counts(connector_id: str | None) -> list[Any]:
    alerts = Alert.objects.filter(connector=connector_id or "", state__in=evaluation.OPEN)
    firing, pending = Count("pk", filter=Q(state="firing")), Count("pk", filter=Q(state="pending"))
    return list(alerts.order_by().values("kind").annotate(firing=firing, pending=pending))


def dress(alerts: list[Alert]) -> list[Alert]:
    """Add what rows show to alerts: ``type``, ``held``, ``measured``, ``limit``, ``silenced_until``. Run one query."""
    now = timezone.now()
    silences = Silences(now)
    for alert in alerts:
        alert.held = in_words(alert.lasted or now - alert.since)  # type: ignore[attr-defined]
        alert.type = KINDS[alert.kind]  # type: ignore[attr-defined]
        alert.measured = shown(alert.kind, alert.value)  # type: ignore[attr-defined]
        alert.limit = shown(alert.kind, alert.threshold)  # type: ignore[attr-defined]
        alert.silenced_until = silences.cover(alert)  # type: ignore[attr-defined]
    return alerts


def in_words(span: timedelta) -> str:
    """Write a span in seconds, or in its two largest units."""
    seconds = max(0, int(span.total_seconds()))
    return f"{seconds} s" if seconds < 120 else duration(seconds)


def last_evaluated() -> datetime | None:
    return AlertSettings.objects.filter(id=1).values_list("evaluated_at", flat=True).first()


def is_watched() -> bool:
    """Tell whether the worker looked lately: without the worker nothing fires."""
    last = last_evaluated()
    return last is not None and timezone.now() - last < SILENT


def warnings() -> dict[str, Any]:
    """Say for ``connectors/alerts/_warnings.html`` what keeps alerts from reaching people. Run two queries."""
    channels = outbox.channels()
    return {
        "configured": bool(channels),
        "failing": [channel for channel in channels if channel.is_failing],
        "watched": is_watched(),
    }


def cards() -> list[Card]:
    """Make the overview's card of firing alerts."""
    counts = Alert.objects.exclude(state="resolved").aggregate(
        firing=Count("pk", filter=Q(state="firing")), pending=Count("pk", filter=Q(state="pending"))
    )
    if not is_watched():
        note, value = "Nobody looks: the console's worker does not run.", "—"
    else:
        value = str(counts["firing"])
        note = f"{counts['pending']} pending." if counts["pending"] else "None is about to fire."
        channels = outbox.channels()
        if not channels:
            note = "Nobody is told: configure message push."
        elif failing := [channel for channel in channels if channel.is_failing]:
            all_of_them = len(failing) == len(channels)
            note = (
                "Messages do not arrive: see message push."
                if all_of_them
                else "A channel of message push fails."
            )
    return [Card("Firing alerts", value, note, "connectors:alerts", 30)]
