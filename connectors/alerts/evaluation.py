"""Evaluation, the worker's round: read everything that is watched, change alerts, tell people."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from connectors.alerts import machine, notices, readings
from connectors.alerts.kinds import Rules
from connectors.alerts.machine import Event, Observation, Phase, State
from connectors.alerts.models import Alert, AlertSettings, AlertSilence
from connectors.alerts.readings import Key, Reading
from connectors.fleet import pace

log = logging.getLogger("causeway.alerts")
EVERY = timedelta(seconds=5)
# Age at which «last evaluated» is written again; by an older one pages see that the worker does not run.
HEARTBEAT = timedelta(seconds=20)
KEEP = timedelta(days=730)
OPEN = (Alert.State.PENDING, Alert.State.FIRING)
# Age at which a pending alert's last sight is written again: a write in every round would be too many.
REFRESH = machine.LONGEST_GAP / 3


@dataclass
class Plan:
    """Changes of a round. ``close``: (alert, why it ends)."""

    begin: list[Alert] = field(default_factory=list)
    update: list[Alert] = field(default_factory=list)
    fire: list[Alert] = field(default_factory=list)
    close: list[tuple[Alert, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.begin or self.update or self.fire or self.close)


def open_alerts() -> dict[Key, Alert]:
    return {(alert.kind, alert.subject): alert for alert in Alert.objects.filter(state__in=OPEN)}


def plan(found: Iterable[Reading], alerts: dict[Key, Alert], rules: Rules, now: datetime) -> Plan:
    """Work out what the readings make of the open alerts; the database stays as it is."""
    made, left = Plan(), dict(alerts)
    for reading in found:
        alert = left.pop(reading.key, None)
        rule = rules.machine(reading.connector, reading.kind) if reading.watched else None
        if rule is None:
            if alert is not None:
                made.close.append((alert, Alert.End.NOT_WATCHED))
        elif reading.value is not None and (alert is not None or rule.begins(reading.value)):
            _judge(made, alert, reading, rule, now)
    made.close += [(alert, Alert.End.REMOVED) for alert in left.values()]
    return made


def _judge(made: Plan, alert: Alert | None, reading: Reading, rule: machine.Rule, now: datetime) -> None:
    before = machine.OK if alert is None else State(Phase(alert.state), alert.since, alert.seen_at)
    after, event = machine.step(before, Observation(now, reading.value), rule)
    if after.phase is Phase.OK or after.since is None:
        if alert is not None:
            made.close.append((alert, Alert.End.RECOVERED))
        return
    if alert is None:
        alert = _begun(reading, after.since, now)
        made.begin.append(alert)
    else:
        seen_long_ago = after.phase is Phase.PENDING and now - alert.seen_at >= REFRESH
        if event is None and after.since == before.since and not seen_long_ago:
            return
        made.update.append(alert)
    alert.since, alert.seen_at = after.since, now
    if event is Event.FIRED:
        alert.state, alert.fired_at, alert.value = Alert.State.FIRING, now, reading.value
        alert.threshold = rule.threshold
        made.fire.append(alert)


def _begun(reading: Reading, since: datetime, now: datetime) -> Alert:
    return Alert(
        kind=reading.kind,
        connector=reading.connector or "",
        connector_name=reading.connector_name,
        subject_kind=reading.subject_kind,
        subject=reading.subject,
        subject_name=reading.subject_name,
        state=Alert.State.PENDING,
        since=since,
        seen_at=now,
        mark=reading.mark,
    )


def evaluate(now: datetime | None = None) -> int:
    """Run one round; return how many alerts changed their state.

    The world is read without a lock. When something changes, the round takes the lock and plans again from the alerts
    as they are then: of two workers, the second finds nothing left to do.
    """
    now = now or timezone.now()
    pace.refresh()
    alerts, rules = open_alerts(), Rules()
    found = list(readings.read(readings.world(now, alerts.values())))
    settings = AlertSettings.objects.filter(id=1).first()
    beat = settings is None or settings.evaluated_at is None or now - settings.evaluated_at >= HEARTBEAT
    if not plan(found, alerts, rules, now) and not notices.any_due(settings, now):
        if beat:
            AlertSettings.objects.update_or_create(id=1, defaults={"evaluated_at": now})
        return 0
    with transaction.atomic():
        settings = locked()
        made = plan(found, open_alerts(), rules, now)
        changed = write(made, now)
        notices.tell(settings, rules, now)
        settings.evaluated_at = now
        settings.save(update_fields=["evaluated_at"])
    return changed


def locked() -> AlertSettings:
    """Lock the row of the settings, which every writer of alerts holds until commit."""
    AlertSettings.objects.get_or_create(id=1)
    return AlertSettings.objects.select_for_update().get(id=1)


def write(made: Plan, now: datetime) -> int:
    """Write a plan within the caller's transaction, each change only from the state that it was planned from."""
    Alert.objects.bulk_create(made.begin, ignore_conflicts=True, batch_size=500)
    fields = ["since", "seen_at", "state", "fired_at", "value", "threshold"]
    Alert.objects.bulk_update(made.update, fields, batch_size=200)
    changed = len(made.fire)
    for why in {why for _, why in made.close}:
        keys = [alert.pk for alert, reason in made.close if reason == why]
        changed += _close(keys, why, now)
    if made.fire or made.close:
        log.info("%d alerts fired, %d ended", len(made.fire), len(made.close))
    return changed


def _close(keys: Sequence[str], why: str, now: datetime) -> int:
    """End alerts; delete those that were pending only, which never were told of."""
    alerts = Alert.objects.filter(pk__in=keys)
    alerts.filter(state=Alert.State.PENDING).delete()
    return alerts.filter(state=Alert.State.FIRING).update(
        state=Alert.State.RESOLVED, resolved_at=now, end=why
    )


def forget_old(now: datetime | None = None) -> int:
    """Delete alerts that ended, and silences that were over, two years ago."""
    before = (now or timezone.now()) - KEEP
    ended = Alert.objects.filter(state=Alert.State.RESOLVED, resolved_at__lt=before).delete()[0]
    return ended + AlertSilence.objects.filter(until__lt=before).delete()[0]
