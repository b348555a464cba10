"""Writes to alert settings, and of what people say about an alert: acknowledged, silenced."""

import math
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.alerts.kinds import KINDS, Kind, rules_of
from connectors.alerts.models import Alert, AlertRule, AlertSettings, AlertSilence
from connectors.fleet.models.connectors import Connector
from console.core import audit
from console.core.errors import Conflict, Invalid, NotFound
from console.core.saving import changed, save

FIELDS = ("enabled", "threshold", "hold_seconds", "hysteresis_percent", "recovery")
LONGEST_SILENCE = timedelta(days=30)


def kind_of(connector: Connector | None, name: str) -> Kind:
    """Find a type. Raise ``NotFound`` for one that is not watched of connectors, or of gateways."""
    kind = KINDS.get(name)
    if kind is None or ("server" if connector else "gateway") not in kind.subjects:
        raise NotFound(f"There is no type of alert {name!r} here.")
    return kind


def checked(kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
    """Keep the values that a type has. Raise ``Invalid`` for a threshold that makes no sense for the type."""
    if kind.unit is None:
        values.pop("threshold", None)
        values.pop("hysteresis_percent", None)
    elif "threshold" in values:
        threshold = values["threshold"]
        if threshold is None or not math.isfinite(threshold) or not 0 < threshold <= kind.most:
            sentence = f"The threshold must be more than 0 and at most {kind.most:,.0f} {kind.unit}."
            raise Invalid(sentence, field="threshold")
    return values


@transaction.atomic
def rule_update(*, connector: Connector | None, kind: str, actor: audit.Actor, **values: Any) -> AlertRule:
    """Set one type of a connector (None: of the gateways). ``values``: some of ``FIELDS``.

    Raise ``NotFound`` for an unknown type, ``Invalid`` naming the field.
    """
    known = kind_of(connector, kind)
    values = checked(known, {name: values[name] for name in FIELDS if name in values})
    rules = AlertRule.objects.select_for_update().filter(connector=connector, kind=kind)
    stored = rules.order_by("pk").first()
    rule = stored or known.default(connector.pk if connector else None)
    found = changed(rule, values)
    if stored is not None and not found:
        return rule
    save(rule, *(found if stored is not None else ()))
    audit.record(
        actor=actor,
        verb="alert_rule.update",
        target=connector or rule,
        before={"type": kind, **{name: pair[0] for name, pair in found.items()}},
        after={"type": kind, **{name: pair[1] for name, pair in found.items()}},
    )
    return rule


def rule_switch(*, connector: Connector | None, kind: str, enabled: bool, actor: audit.Actor) -> AlertRule:
    """Switch one type on or off. Raise ``Conflict`` when the type is so already."""
    kind_of(connector, kind)
    rules = {rule.kind: rule for rule in rules_of(connector.pk if connector else None)}
    if rules[kind].enabled == enabled:
        raise Conflict(f"{KINDS[kind].label} is already {'enabled' if enabled else 'disabled'}.")
    return rule_update(connector=connector, kind=kind, enabled=enabled, actor=actor)


@transaction.atomic
def alert_acknowledge(*, alert: Alert, actor: audit.Actor) -> None:
    """Note that somebody looks after an alert, which ends reminders. Raise ``Conflict`` unless it waits for that."""
    now = timezone.now()
    firing = Alert.objects.filter(pk=alert.pk, state=Alert.State.FIRING, acknowledged_at=None)
    if not firing.update(acknowledged_at=now, acknowledged_by=str(actor)[:150]):
        raise Conflict("The alert does not fire any more, or it was acknowledged already.")
    audit.record(actor=actor, verb="alert.acknowledge", target=alert)


@transaction.atomic
def silence_create(
    *, target: str, target_name: str, kind: str = "", lasts: timedelta, reason: str = "", actor: audit.Actor
) -> AlertSilence:
    """Tell nobody of a server's, gateway's or connector's alerts (``kind`` empty: of every type) for a time."""
    if not timedelta() < lasts <= LONGEST_SILENCE:
        raise Invalid("A silence lasts more than 0 minutes and at most 30 days.", field="lasts")
    if kind and kind not in KINDS:
        raise Invalid(f"The type must be one of {', '.join(KINDS)}.", field="kind")
    now = timezone.now()
    silence = AlertSilence(
        target=target,
        target_name=target_name,
        kind=kind,
        reason=reason.strip(),
        created_by=str(actor)[:150],
        until=now + lasts,
    )
    save(silence)
    after = {"target": target, "type": kind or "all", "until": silence.until, "reason": silence.reason}
    audit.record(actor=actor, verb="alert_silence.create", target=silence, after=after)
    return silence


@transaction.atomic
def silence_end(*, silence: AlertSilence, actor: audit.Actor, now: datetime | None = None) -> None:
    """End a silence early: alerts that still fire untold are told. Raise ``Conflict`` when the silence is over."""
    now = now or timezone.now()
    if not AlertSilence.objects.filter(pk=silence.pk, until__gt=now).update(until=now):
        raise Conflict("This silence is over already.")
    audit.record(actor=actor, verb="alert_silence.end", target=silence, before={"until": silence.until})


@transaction.atomic
def settings_update(*, actor: audit.Actor, **values: Any) -> AlertSettings:
    """Set how often firing alerts are told again, and from how many on one message tells all."""
    AlertSettings.objects.get_or_create(id=1)
    settings = AlertSettings.objects.select_for_update().get(id=1)
    found = changed(settings, values)
    if found:
        save(settings, *found)
        before = {name: pair[0] for name, pair in found.items()}
        audit.record(actor=actor, verb="alert_settings.update", target=settings, before=before, after=values)
    return settings
