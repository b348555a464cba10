"""Alerts: what fires now, what was, what is silenced; acknowledging and silencing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors.alerts import selectors, services
from connectors.alerts.forms import SettingsForm, SilenceForm
from connectors.alerts.kinds import KINDS
from connectors.models import Alert, AlertSettings, AlertSilence
from console import tables, web
from console.access import actor, role_required
from console.errors import Refusal

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
        tables.Column("notice", "Told"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/alerts/_row.html",
    search=("subject_name", "subject", "connector_name", "connector"),
    filters=(
        tables.Filter(
            "state",
            "State",
            [("firing", "Firing"), ("pending", "Pending")],
            lambda found, value: found.filter(state=value),
        ),
        BY_KIND,
    ),
    default_sort="state",
    label="Alerts",
    empty="Nothing fires",
    empty_hint="What is watched, and from which threshold on, is set in each connector's Alert Setting tab.",
    live_seconds=5,
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
        tables.Filter("end", "End", Alert.End.choices, lambda found, value: found.filter(end=value)),
    ),
    default_sort="-fired",
    label="History of alerts",
    empty="No alert has fired yet",
    empty_hint="Each alert is listed here for two years, from when it fired.",
)
SILENCES = tables.Table(
    columns=(
        tables.Column("target", "Of", ("target_name",)),
        tables.Column("type", "Type", ("kind",)),
        tables.Column("until", "Until", ("until",)),
        tables.Column("by", "By", ("created_by",)),
        tables.Column("reason", "Reason"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/alerts/_silence_row.html",
    search=("target_name", "target", "reason"),
    default_sort="until",
    label="Silences",
    empty="Nothing is silenced",
    empty_hint="What fires is silenced in its list; a connector, before work on it, in its Alert Setting tab.",
)


@dataclass(frozen=True)
class Scope:
    """What can be silenced: by ``key`` in the form; all alerts of ``target`` (an id), or those of one ``kind``."""

    key: str
    label: str
    target: str
    name: str
    kind: str = ""


def _context(tab: str) -> dict[str, Any]:
    return {"tab": tab, **selectors.warnings()}


@require_safe
@role_required("viewer")
def alert_list(request: HttpRequest) -> HttpResponse:
    """What fires, then what is about to."""
    rank = Case(When(state="firing", then=Value(0)), default=Value(1), output_field=IntegerField())
    found = Alert.objects.exclude(state="resolved").annotate(rank=rank).order_by("rank", "-since")
    page = NOW.page(request, found)
    selectors.dress(page.rows)
    return tables.render(request, "connectors/alerts/list.html", page, _context("now"))


@require_safe
@role_required("viewer")
def alert_history(request: HttpRequest) -> HttpResponse:
    page = HISTORY.page(request, Alert.objects.filter(~Q(state="pending")))
    selectors.dress(page.rows)
    return tables.render(request, "connectors/alerts/history.html", page, _context("history"))


@require_safe
@role_required("viewer")
def silence_list(request: HttpRequest) -> HttpResponse:
    page = SILENCES.page(request, AlertSilence.objects.filter(until__gt=timezone.now()))
    for row in page.rows:
        row.type = KINDS.get(row.kind)
    return tables.render(request, "connectors/alerts/silences.html", page, _context("silences"))


@require_POST
@role_required("operator")
def alert_acknowledge(request: HttpRequest, alert_id: str) -> HttpResponse:
    alert = get_object_or_404(Alert, pk=alert_id)
    services.alert_acknowledge(alert=alert, actor=actor(request))
    return web.done(
        request, reverse("connectors:alerts"), f"You look after {alert.subject_name}: no more reminders."
    )


@require_http_methods(["GET", "POST"])
@role_required("operator")
def alert_silence(request: HttpRequest, alert_id: str) -> HttpResponse:
    """A dialog: of which alerts nobody is told, and for how long."""
    alert = get_object_or_404(Alert, pk=alert_id)
    label = KINDS[alert.kind].label
    subject, connector = (alert.subject, alert.subject_name), (alert.connector, alert.connector_name)
    scopes = [
        Scope("this", f"{label} of {alert.subject_name}", *subject, kind=alert.kind),
        Scope("subject", f"All alerts of {alert.subject_name}", *subject),
    ]
    if alert.connector:
        scopes.append(Scope("connector", f"All alerts of the connector {alert.connector_name}", *connector))
    of = f" of {alert.connector_name}" if alert.connector_name else ""
    context = {
        "name": f"{alert.subject_name}{of}",
        "id": alert.subject,
        "action": reverse("connectors:alert_silence", args=[alert.pk]),
        "back": reverse("connectors:alerts"),
    }
    return silence_dialog(request, scopes, context)


def silence_dialog(
    request: HttpRequest,
    scopes: list[Scope],
    context: dict[str, Any],
    *,
    into: Literal["page", "panel"] = "page",
) -> HttpResponse:
    """Ask which of ``scopes`` is silenced and how long, and do it. ``context``: the template's, but for the form."""
    labels = [(scope.key, scope.label) for scope in scopes]
    form = SilenceForm(labels, request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = next(scope for scope in scopes if scope.key == form.cleaned_data["scope"])
        try:
            services.silence_create(
                target=chosen.target,
                target_name=chosen.name,
                kind=chosen.kind,
                lasts=form.lasts,
                reason=form.cleaned_data["reason"],
                actor=actor(request),
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, context["back"], f"{chosen.label}: silenced.", into=into)
    return web.form_page(request, "connectors/alerts/silence.html", {"form": form, **context})


@require_POST
@role_required("operator")
def silence_end(request: HttpRequest, silence_id: int) -> HttpResponse:
    silence = get_object_or_404(AlertSilence, pk=silence_id)
    services.silence_end(silence=silence, actor=actor(request))
    return web.done(request, reverse("connectors:alert_silences"), f"{silence.target_name} is told of again.")


@require_http_methods(["GET", "POST"])
@role_required("operator")
def alert_settings(request: HttpRequest) -> HttpResponse:
    """Reminders and grouping."""
    stored = AlertSettings.objects.filter(id=1).first() or AlertSettings()
    initial = {"remind_minutes": stored.remind_minutes, "group_from": stored.group_from}
    form = SettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.settings_update(actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse("connectors:alerts"), "The alert settings were saved.")
    return web.form_page(request, "connectors/alerts/settings.html", {"form": form})
