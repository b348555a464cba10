"""Pages of silences: their list, and the dialogs in which somebody silences alerts for a time."""

from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from connectors.alerts import selectors, services
from connectors.alerts.forms import SilenceForm
from connectors.alerts.kinds import KINDS
from connectors.alerts.models import Alert, AlertSilence
from connectors.fleet.models.connectors import Connector
from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web

# Nobody chooses from more servers than these; a silence of the connector covers all.
MOST_SERVERS = 20

TABLE = tables.Table(
    columns=(
        tables.Column("target", "Silenced", ("target_name",)),
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
    csv=(
        ("silenced", "target_name"),
        ("id", "target"),
        ("type", lambda row: row.type.label if row.type else "Every type"),
        ("until", "until"),
        ("by", "created_by"),
        ("reason", "reason"),
    ),
)


@dataclass(frozen=True)
class Scope:
    """Choice in the dialog, by its ``key``: all alerts of ``target`` (an id), or its alerts of one ``kind``."""

    key: str
    label: str
    target: str
    name: str
    kind: str = ""


@shows("viewer")
def silence_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, AlertSilence.objects.filter(until__gt=timezone.now()), _with_type)
    context = {"tab": "silences", **selectors.warnings()}
    return tables.render(request, "connectors/alerts/silences.html", page, context)


def _with_type(silences: list[Any]) -> None:
    for row in silences:
        row.type = KINDS.get(row.kind)


@takes_form("operator")
def alert_silence(request: HttpRequest, alert_id: str) -> HttpResponse:
    """Ask in a dialog which alerts like this one are silenced, and for how long."""
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
    return _dialog(request, scopes, context)


@takes_form("operator")
def connector_silence(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Ask in a dialog, before planned work, which alerts of a connector or its servers are silenced for a time."""
    connector = get_object_or_404(Connector, pk=connector_id)
    # Ids tell servers of one name apart.
    scopes = [
        Scope(connector.pk, f"All alerts of the connector {connector.name}", connector.pk, connector.name),
        *(
            Scope(server.pk, f"All alerts of the server {server} ({server.pk})", server.pk, str(server))
            for server in connector.servers.order_by("hostname", "pk")[:MOST_SERVERS]
        ),
    ]
    context = {
        "name": connector.name,
        "id": connector.pk,
        "action": reverse("connectors:alert_connector_silence", kwargs={"connector_id": connector.pk}),
        "back": reverse("connectors:alert_rules", kwargs={"connector_id": connector.pk}),
    }
    return _dialog(request, scopes, context, into="panel")


def _dialog(
    request: HttpRequest,
    scopes: list[Scope],
    context: dict[str, Any],
    *,
    into: Literal["page", "panel"] = "page",
) -> HttpResponse:
    """Show the dialog, or silence the chosen scope. ``context``: the template's, but for the form."""
    labels = [(scope.key, scope.label) for scope in scopes]
    form = SilenceForm(labels, request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = next(scope for scope in scopes if scope.key == form.cleaned_data["scope"])
        with web.refusals_in(form):
            services.silence_create(
                target=chosen.target,
                target_name=chosen.name,
                kind=chosen.kind,
                lasts=form.lasts,
                reason=form.cleaned_data["reason"],
                actor=actor(request),
            )
            return web.done(request, context["back"], f"{chosen.label}: silenced.", into=into)
    return web.form_page(request, "connectors/alerts/silence.html", {"form": form, **context})


@acts("operator")
def silence_end(request: HttpRequest, silence_id: int) -> HttpResponse:
    silence = get_object_or_404(AlertSilence, pk=silence_id)
    services.silence_end(silence=silence, actor=actor(request))
    message = f"The silence was ended: alerts of {silence.target_name} are told again."
    return web.done(request, reverse("connectors:alert_silences"), message)
