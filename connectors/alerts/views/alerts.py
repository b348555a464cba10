"""Pages of alerts: what fires now, what fired before, and how people are told."""

from datetime import timedelta
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from connectors.alerts import selectors, services
from connectors.alerts.forms import SettingsForm
from connectors.alerts.kinds import KINDS
from connectors.alerts.models import Alert, AlertSettings
from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web

BY_KIND = tables.Filter(
    "type",
    "Type",
    [(kind.name, kind.label) for kind in KINDS.values()],
    lambda found, value: found.filter(kind=value),
)
NOW = tables.Table(
    columns=(
        tables.Column("state", "State", ("rank",)),
        tables.Column("type", "Type", ("kind",)),
        tables.Column("subject", "Server or gateway", ("subject_name",)),
        tables.Column("value", "Measured"),
        tables.Column("since", "Since", ("since",)),
        tables.Column("notice", "Message sent"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/alerts/_row.html",
    search=("subject_name", "subject", "connector_name", "connector"),
    filters=(
        tables.Filter("state", "State", [("firing", "Firing"), ("pending", "Pending")]),
        BY_KIND,
    ),
    default_sort="state",
    label="Alerts",
    empty="Nothing fires",
    empty_hint="What is watched, and from which threshold on, is set in each connector's Alert Setting tab.",
    live_seconds=5,
    csv=(
        ("state", "get_state_display"),
        ("type", "type.label"),
        ("subject", "subject_name"),
        ("subject_id", "subject"),
        ("connector", "connector_name"),
        ("measured", "value"),
        ("threshold", "threshold"),
        ("unit", "type.unit"),
        ("since", "since"),
        ("message_sent", "told_at"),
        ("silenced_until", "silenced_until"),
        ("acknowledged_by", "acknowledged_by"),
        ("acknowledged", "acknowledged_at"),
    ),
)
PERIODS = {"24h": ("Last 24 hours", 1), "7d": ("Last 7 days", 7), "30d": ("Last 30 days", 30)}


def _within(found: QuerySet, value: str) -> QuerySet:
    return found.filter(fired_at__gte=timezone.now() - timedelta(days=PERIODS[value][1]))


HISTORY = tables.Table(
    columns=(
        tables.Column("fired", "Fired", ("fired_at",)),
        tables.Column("type", "Type", ("kind",)),
        tables.Column("subject", "Server or gateway", ("subject_name",)),
        tables.Column("value", "Measured"),
        tables.Column("ended", "Ended", ("resolved_at",)),
        tables.Column("lasted", "Held for"),
        tables.Column("by", "Acknowledged"),
    ),
    row_template="connectors/alerts/_history_row.html",
    search=("subject_name", "subject", "connector_name", "connector"),
    filters=(
        tables.Filter("period", "Period", [(key, label) for key, (label, _) in PERIODS.items()], _within),
        BY_KIND,
        tables.Filter("end", "End", Alert.End.choices),
    ),
    default_sort="-fired",
    label="History of alerts",
    empty="No alert has fired yet",
    empty_hint="Each alert is listed here for two years, from when it fired.",
    csv=(
        ("fired", "fired_at"),
        ("type", "type.label"),
        ("subject", "subject_name"),
        ("subject_id", "subject"),
        ("connector", "connector_name"),
        ("measured", "value"),
        ("threshold", "threshold"),
        ("unit", "type.unit"),
        ("ended", "resolved_at"),
        ("end", "get_end_display"),
        ("held_for", "held"),
        ("acknowledged_by", "acknowledged_by"),
        ("acknowledged", "acknowledged_at"),
    ),
)


def _context(tab: str) -> dict[str, Any]:
    return {"tab": tab, **selectors.warnings()}


@shows("viewer")
def alert_list(request: HttpRequest) -> HttpResponseBase:
    """List the alerts that fire, then those that are about to."""
    rank = Case(When(state="firing", then=Value(0)), default=Value(1), output_field=IntegerField())
    found = Alert.objects.exclude(state="resolved").annotate(rank=rank).order_by("rank", "-since")
    page = NOW.page(request, found, selectors.dress)
    return tables.render(request, "connectors/alerts/list.html", page, _context("now"))


@shows("viewer")
def alert_history(request: HttpRequest) -> HttpResponseBase:
    page = HISTORY.page(request, Alert.objects.filter(~Q(state="pending")), selectors.dress)
    return tables.render(request, "connectors/alerts/history.html", page, _context("history"))


@acts("operator")
def alert_acknowledge(request: HttpRequest, alert_id: str) -> HttpResponse:
    alert = get_object_or_404(Alert, pk=alert_id)
    services.alert_acknowledge(alert=alert, actor=actor(request))
    return web.done(
        request, reverse("connectors:alerts"), f"You look after {alert.subject_name}: no more reminders."
    )


@takes_form("operator")
def alert_settings(request: HttpRequest) -> HttpResponse:
    """Set how often people are reminded, and from how many alerts on one message tells of all."""
    stored = AlertSettings.objects.filter(id=1).first() or AlertSettings()
    initial = {"remind_minutes": stored.remind_minutes, "group_from": stored.group_from}
    form = SettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.settings_update(actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse("connectors:alerts"), "The alert settings were saved.")
    return web.form_page(request, "connectors/alerts/settings.html", {"form": form})
