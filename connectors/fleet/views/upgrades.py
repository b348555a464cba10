"""Upgrades of a connector, on the tab Deploy Server: begin, watch, cancel."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from connectors.fleet import services
from connectors.fleet.forms import ConnectorUpgradeForm
from connectors.fleet.models.connectors import Connector
from connectors.fleet.models.upgrades import Upgrade
from connectors.fleet.services.upgrades import SERVERS
from console.core.access import actor, acts, shows, takes_form
from console.core.errors import NotFound, Refusal
from console.kit import web


@shows("viewer")
def upgrade_state(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show how far an upgrade is; the page asks again while somebody looks."""
    connector = get_object_or_404(Connector, pk=connector_id)
    versions = list(connector.servers.values_list("version", flat=True))
    context = {"connector": connector, **SERVERS.shown({connector.pk: versions})[connector.pk]}
    return render(request, "connectors/_upgrade.html", context)


@takes_form("operator")
def upgrade(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Say what an upgrade does, before it does; a POST begins the upgrade, now or in the connector's window."""
    connector = get_object_or_404(Connector, pk=connector_id)
    form = ConnectorUpgradeForm(request.POST or None, connector=connector)
    if request.method == "POST" and form.is_valid():
        try:
            run = services.upgrade_start(
                connector=connector,
                in_window=form.cleaned_data["when"] == "window",
                drain=timedelta(minutes=form.cleaned_data["minutes"]),
                actor=actor(request),
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            message = f"{connector} is upgraded to {run.version}, one server after the other."
            return web.done(request, reverse("connectors:servers", args=[connector.pk]), message)
    servers = list(connector.servers.all())
    serving = [server for server in servers if server.state == "enabled"]
    context = {
        "form": form,
        "connector": connector,
        "alone": len(serving) < 2,
        **SERVERS.shown({connector.pk: [server.version for server in servers]})[connector.pk],
    }
    return web.form_page(request, "connectors/upgrade.html", context)


@acts("operator")
def upgrade_cancel(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Cancel an upgrade: no other server is begun, and the server in hand is finished."""
    connector = get_object_or_404(Connector, pk=connector_id)
    run = connector.upgrades.filter(state__in=Upgrade.OPEN).first()
    if run is None:
        raise NotFound("No upgrade of this connector is going on.", code="NoUpgrade")
    run = SERVERS.cancel(upgrade=run, actor=actor(request))
    message = (
        "The upgrade stops after the server in hand."
        if run.is_open
        else "The upgrade was cancelled; no other server is begun."
    )
    url = reverse("connectors:servers", args=[connector.pk])
    return web.done(request, url, message, into="panel")
