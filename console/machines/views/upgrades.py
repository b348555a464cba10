"""Upgrades of an area's gateways, on the list of gateways: begin, watch, cancel."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from console.core.access import actor, acts, shows, takes_form
from console.core.errors import NotFound, Refusal
from console.core.models.geography import Area
from console.kit import web
from console.machines import gateway_upgrades
from console.machines.forms import AreaUpgradeForm
from console.machines.models.upgrades import AreaUpgrade


@shows("viewer")
def upgrade_state(request: HttpRequest, area_id: str) -> HttpResponse:
    """Show how far an upgrade is; the page asks again while somebody looks."""
    shown = gateway_upgrades.shown_of(get_object_or_404(Area, pk=area_id))
    return render(request, "console/gateways/_upgrade.html", shown)


@takes_form("operator")
def upgrade(request: HttpRequest, area_id: str) -> HttpResponse:
    """Say what an upgrade does, before it does; a POST begins the upgrade, now or between two times of day."""
    area = get_object_or_404(Area, pk=area_id)
    form = AreaUpgradeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            run = gateway_upgrades.upgrade_start(
                area=area,
                window=form.window,
                drain=timedelta(minutes=form.cleaned_data["minutes"]),
                actor=actor(request),
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            message = f"The gateways of {area} are upgraded to {run.version}, one after the other."
            return web.done(request, reverse("gateways:list"), message)
    reached = sum(1 for gateway in gateway_upgrades.gateways_of(area) if gateway.is_heard)
    context = {"form": form, "alone": reached < 2, **gateway_upgrades.shown_of(area)}
    return web.form_page(request, "console/gateways/upgrade.html", context)


@acts("operator")
def upgrade_cancel(request: HttpRequest, area_id: str) -> HttpResponse:
    """Cancel an upgrade: no other gateway is begun, and the gateway in hand is finished."""
    area = get_object_or_404(Area, pk=area_id)
    run = AreaUpgrade.objects.filter(area=area, state__in=AreaUpgrade.OPEN).first()
    if run is None:
        raise NotFound("No upgrade of this area is going on.", code="NoUpgrade")
    run = gateway_upgrades.GATEWAYS.cancel(upgrade=run, actor=actor(request))
    message = (
        "The upgrade stops after the gateway in hand."
        if run.is_open
        else "The upgrade was cancelled; no other gateway is begun."
    )
    return web.done(request, reverse("gateways:list"), message)
