"""Notices of alerts: one message for each change, one for many at once, reminders; none during a silence.

Notices follow from what is stored: an alert whose state differs from what the channels last heard is told. So a notice
held back by a silence, or for want of a channel, is told afterwards if it still matters, and nothing is told twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.db.models import Q, QuerySet
from django.urls import reverse

from connectors.alerts.kinds import KINDS, Rules
from connectors.alerts.models import Alert, AlertSettings, AlertSilence
from connectors.alerts.readings import shown
from console.push import outbox
from console.push.formats import iso

FIRING, RESOLVED = Alert.State.FIRING, Alert.State.RESOLVED
MOST_LINES = 30
WORDS = {"firing": "Firing", "resolved": "Resolved", "reminder": "Still firing"}


def untold() -> QuerySet[Alert]:
    """Alerts whose state the channels do not know yet."""
    return Alert.objects.filter(Q(state=FIRING, told="") | Q(state=RESOLVED, told=FIRING))


def to_remind(settings: AlertSettings, now: datetime) -> QuerySet[Alert]:
    found = Alert.objects.filter(state=FIRING, told=FIRING, acknowledged_at=None)
    if not settings.remind_minutes:
        return found.none()
    return found.filter(told_at__lte=now - timedelta(minutes=settings.remind_minutes))


def any_due(settings: AlertSettings | None, now: datetime) -> bool:
    """Tell whether ``tell`` may have something to do. Run at most four queries."""
    settings = settings or AlertSettings()
    if not (untold().exists() or to_remind(settings, now).exists()):
        return False
    silences = Silences(now)
    found = [*untold(), *to_remind(settings, now)]
    return outbox.is_configured() and any(not silences.cover(alert) for alert in found)


class Silences:
    """Silences in force, read in one query for all alerts."""

    def __init__(self, now: datetime) -> None:
        rows = AlertSilence.objects.filter(until__gt=now).values_list("target", "kind", "until")
        self._until: dict[tuple[str, str], datetime] = {}
        for target, kind, until in rows:
            self._until[target, kind] = max(until, self._until.get((target, kind), until))

    def cover(self, alert: Alert) -> datetime | None:
        """Return until when an alert is silenced, None when it is not."""
        targets = [target for target in (alert.subject, alert.connector) if target]
        keys = ((target, kind) for target in targets for kind in (alert.kind, ""))
        return max((self._until[key] for key in keys if key in self._until), default=None)


@dataclass(frozen=True)
class Change:
    """Change of an alert that is told. ``what``: firing, resolved or reminder."""

    alert: Alert
    what: str


def tell(settings: AlertSettings, rules: Rules, now: datetime) -> int:
    """Put notices into the outbox, within the transaction that holds the settings' row; return how many messages."""
    _forget_stale_ends(now)
    if not outbox.is_configured():
        return 0
    silences = Silences(now)
    fresh = [alert for alert in untold() if not silences.cover(alert)]
    changes = [Change(alert, str(alert.state)) for alert in fresh if _is_wanted(alert, rules)]
    reminders = [Change(alert, "reminder") for alert in to_remind(settings, now) if not silences.cover(alert)]
    messages = _post(changes, settings.group_from) + _post(reminders, settings.group_from)
    for state in (FIRING, RESOLVED):
        keys = [alert.pk for alert in fresh if alert.state == state]
        Alert.objects.filter(pk__in=keys, state=state).exclude(told=state).update(told=state, told_at=now)
    Alert.objects.filter(pk__in=[change.alert.pk for change in reminders]).update(told_at=now)
    return messages


def _is_wanted(alert: Alert, rules: Rules) -> bool:
    return alert.state == FIRING or rules.get(alert.connector or None, alert.kind).recovery


def _forget_stale_ends(now: datetime) -> None:
    """Take ends that nobody could be told of for days as told: they are no news any more."""
    old = Alert.objects.filter(
        state=RESOLVED, told=FIRING, resolved_at__lt=now - django_settings.PUSH_GIVE_UP
    )
    old.update(told=RESOLVED)


def _post(changes: Sequence[Change], group_from: int) -> int:
    """Post a message for each change, or one for all from ``group_from`` changes on; return how many."""
    if len(changes) >= group_from:
        post(changes)
        return 1
    for change in changes:
        post([change])
    return len(changes)


def post(changes: Sequence[Change]) -> None:
    outbox.post(
        kind="alerts",
        title=title(changes),
        text="\n".join(_lines(changes)),
        url=django_settings.PUBLIC_URL + reverse("connectors:alerts"),
        body={"alerts": [as_json(change) for change in changes]},
    )


def title(changes: Sequence[Change]) -> str:
    if len(changes) == 1:
        alert = changes[0].alert
        return f"{WORDS[changes[0].what]}: {KINDS[alert.kind].label}, {where(alert)}"
    counts = ((what, sum(change.what == what for change in changes)) for what in WORDS)
    return f"{len(changes)} alerts: " + ", ".join(f"{n} {WORDS[what].lower()}" for what, n in counts if n)


def _lines(changes: Sequence[Change]) -> Iterable[str]:
    yield from (sentence(change) for change in changes[:MOST_LINES])
    if len(changes) > MOST_LINES:
        yield f"And {len(changes) - MOST_LINES} more."


def where(alert: Alert) -> str:
    return f"{alert.subject_name} of {alert.connector_name}" if alert.connector_name else alert.subject_name


def sentence(change: Change) -> str:
    """Write a change as a sentence, with the machine's id: several machines may have one name."""
    alert, kind = change.alert, KINDS[change.alert.kind]
    who = f"{where(alert)} ({alert.subject})"
    since = f"{alert.since:%Y-%m-%d %H:%M:%S} UTC"
    if change.what == "resolved":
        ended = f"{alert.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{who}: {kind.label} is over ({alert.get_end_display().lower()}) since {ended}."
    text = f"{who}: {kind.condition.rstrip('.')}, since {since}."
    if kind.unit:
        text += f" Measured {shown(alert.kind, alert.value)}, threshold {shown(alert.kind, alert.threshold)}."
    return text


def as_json(change: Change) -> dict[str, Any]:
    """Write a change as docs/webhooks.md describes it."""
    alert, kind = change.alert, KINDS[change.alert.kind]
    return {
        "id": alert.pk,
        "change": change.what,
        "type": alert.kind,
        "label": kind.label,
        "subject": {"kind": alert.subject_kind, "id": alert.subject, "name": alert.subject_name},
        "connector": {"id": alert.connector, "name": alert.connector_name} if alert.connector else None,
        "value": alert.value if kind.unit else None,
        "threshold": alert.threshold if kind.unit else None,
        "unit": kind.unit,
        "since": iso(alert.since),
        "fired_at": iso(alert.fired_at) if alert.fired_at else None,
        "resolved_at": iso(alert.resolved_at) if alert.resolved_at else None,
        "end": alert.end or None,
        "text": sentence(change),
    }
