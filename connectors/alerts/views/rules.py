"""Alert Setting tab of a connector's Details panel, the same page for all gateways, and the dry run of a rule."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode

from connectors.alerts import dry_run, selectors, services
from connectors.alerts.forms import RuleForm
from connectors.alerts.kinds import Kind, rules_of
from connectors.alerts.models import AlertRule
from connectors.fleet.models.connectors import Connector
from console.core.access import actor, acts, shows, takes_form
from console.core.errors import NotFound, Refusal
from console.kit import web

GATEWAYS = "gateways"


def _connector(connector_id: str) -> Connector | None:
    return None if connector_id == GATEWAYS else get_object_or_404(Connector, pk=connector_id)


def _kind(connector: Connector | None, name: str) -> Kind:
    try:
        return services.kind_of(connector, name)
    except NotFound as error:
        raise Http404 from error


def _key(connector: Connector | None) -> str:
    return connector.pk if connector else GATEWAYS


def _tab_url(connector: Connector | None) -> str:
    return reverse("connectors:alert_rules", kwargs={"connector_id": _key(connector)})


def _rule(connector: Connector | None, kind: Kind) -> AlertRule:
    rules = rules_of(connector.pk if connector else None)
    return next(rule for rule in rules if rule.kind == kind.name)


@shows("viewer")
@web.with_charts  # the panel of a type, which opens over this page, shows its dry run
def rule_list(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show the tab: each type of alert with its switch and threshold."""
    connector = _connector(connector_id)
    context = {
        "connector": connector,
        "key": _key(connector),
        "tab": "alerts",
        "settings": selectors.settings_of(connector.pk if connector else None),
        **selectors.warnings(),
    }
    return render(request, "connectors/alerts/rules.html", context)


@acts("operator")
def rule_switch(request: HttpRequest, connector_id: str, kind: str, enabled: bool) -> HttpResponse:
    connector = _connector(connector_id)
    label = _kind(connector, kind).label
    services.rule_switch(connector=connector, kind=kind, enabled=enabled, actor=actor(request))
    word = "enabled" if enabled else "disabled"
    return web.done(request, _tab_url(connector), f"{label} is {word}.", into="panel")


@takes_form("operator")
@web.with_charts
def rule_edit(request: HttpRequest, connector_id: str, kind: str) -> HttpResponse:
    """Show the form of one type. Its button *Try* posts the same fields, stores nothing and shows the dry run."""
    connector = _connector(connector_id)
    known = _kind(connector, kind)
    rule = _rule(connector, known)
    initial = {field: getattr(rule, field) for field in services.FIELDS}
    form = RuleForm(known, request.POST or None, initial=initial)
    trying = "try" in request.POST
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            if not trying:
                services.rule_update(connector=connector, kind=kind, actor=actor(request), **values)
                return web.done(request, _tab_url(connector), f"{known.label} was saved.", into="panel")
            for field, value in services.checked(known, dict(values)).items():
                setattr(rule, field, value)
        except Refusal as refusal:
            web.form_refused(form, refusal)
    context = {"connector": connector, "key": _key(connector), "kind": known, "form": form}
    if connector is not None and kind in dry_run.SUPPORTED and not form.errors:
        context |= _dry_run(request, connector, rule)
    return web.form_page(request, "connectors/alerts/rule.html", context)


def _dry_run(request: HttpRequest, connector: Connector, rule: AlertRule) -> dict[str, Any]:
    span = request.POST.get("span", "")
    span = span if span in dry_run.SPANS else dry_run.DEFAULT
    made = dry_run.dry_run(list(connector.servers.all()), rule, span=span)
    asked = {name: getattr(rule, name) for name in ("threshold", "hold_seconds", "hysteresis_percent")}
    url = reverse("connectors:alert_dry_run_chart", args=[connector.pk, rule.kind])
    return {
        "run": made,
        "span": span,
        "spans": dry_run.SPANS,
        "newest": made.fired[:-21:-1],
        "chart_url": f"{url}?{urlencode({**asked, 'span': span})}",
    }


@shows("viewer")
def dry_run_chart(request: HttpRequest, connector_id: str, kind: str) -> HttpResponse:
    """Draw the history as a Plotly figure, with the threshold and the times when the alert would have fired."""
    connector = get_object_or_404(Connector, pk=connector_id)
    known = _kind(connector, kind)
    rule = _rule(connector, known)
    form = RuleForm(known, {**request.GET.dict()})
    if kind not in dry_run.SUPPORTED or not form.is_valid():
        raise Http404
    try:
        values = services.checked(known, dict(form.cleaned_data))
    except Refusal as refusal:
        raise Http404 from refusal
    for field in ("threshold", "hold_seconds", "hysteresis_percent"):
        setattr(rule, field, values[field])
    span = request.GET.get("span", dry_run.DEFAULT)
    made = dry_run.dry_run(list(connector.servers.all()), rule, span=span)
    return JsonResponse(dry_run.figure(list(connector.servers.all()), made))
