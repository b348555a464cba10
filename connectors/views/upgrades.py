"""Upgrades of a connector, on the tab Deploy Server: begun, watched, cancelled."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import services
from connectors.forms import UpgradeForm
from connectors.models import Connector, ServerUpgrade, Upgrade
from console import web, wheels
from console.access import actor, role_required
from console.errors import NotFound, Refusal

# How long an upgrade that is over is still told of.
TOLD = timedelta(days=1)


def state(connector: Connector, versions: list[str]) -> dict[str, Any]:
    """What ``_upgrade.html`` shows of a connector whose servers have these versions. One query.

    ``reason``: why an upgrade cannot be begun now, empty when it can.
    """
    wheel = wheels.newest_wheel()
    newest = Upgrade.objects.filter(connector=connector).order_by("-created_at", "id").values("pk")[:1]
    steps = list(
        ServerUpgrade.objects.filter(upgrade__in=newest)
        .select_related("upgrade__connector", "server")
        .order_by("position")
    )
    run = steps[0].upgrade if steps else None
    if run is not None and not run.is_open and (run.finished_at or run.created_at) < timezone.now() - TOLD:
        run, steps = None, []
    behind = sum(1 for version in versions if wheel is not None and version != wheel.version)
    if run is not None and run.is_open:
        reason = "An upgrade of this connector is going on."
    elif wheel is None:
        reason = "The console has no causeway wheel to install from."
    elif not versions:
        reason = "It has no server yet."
    else:
        reason = "" if behind else f"All of its servers have version {wheel.version}."
    return {"upgrade": run, "steps": steps, "wheel": wheel, "behind": behind, "reason": reason}


@require_safe
@role_required("viewer")
def upgrade_state(request: HttpRequest, connector_id: str) -> HttpResponse:
    """How far an upgrade is, asked again while it is looked at."""
    connector = get_object_or_404(Connector, pk=connector_id)
    versions = list(connector.servers.values_list("version", flat=True))
    context = {"connector": connector, **state(connector, versions)}
    return render(request, "connectors/_upgrade.html", context)


@require_http_methods(["GET", "POST"])
@role_required("operator")
def upgrade(request: HttpRequest, connector_id: str) -> HttpResponse:
    """What an upgrade does, before it does; a POST begins it, now or in the connector's window."""
    connector = get_object_or_404(Connector, pk=connector_id)
    form = UpgradeForm(request.POST or None, connector=connector)
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
    context = {
        "form": form,
        "connector": connector,
        "servers": servers,
        "serving": [server for server in servers if server.state == "enabled"],
        **state(connector, [server.version for server in servers]),
    }
    return web.form_page(request, "connectors/upgrade.html", context)


@require_POST
@role_required("operator")
def upgrade_cancel(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Begin no other server; the one in hand is finished."""
    connector = get_object_or_404(Connector, pk=connector_id)
    run = connector.upgrades.filter(state__in=Upgrade.OPEN).first()
    if run is None:
        raise NotFound("No upgrade of this connector is going on.", code="NoUpgrade")
    run = services.upgrade_cancel(upgrade=run, actor=actor(request))
    message = (
        "The upgrade stops after the server in hand."
        if run.is_open
        else "The upgrade was cancelled; no other server is begun."
    )
    url = reverse("connectors:servers", args=[connector.pk])
    return web.done(request, url, message, into="panel")
