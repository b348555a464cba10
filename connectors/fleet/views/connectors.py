"""Pages of the Connectors tab: list, switch, add, rename, delete."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from connectors.fleet import cuts, selectors, services
from connectors.fleet.forms import ConnectorForm, RenameForm
from connectors.fleet.models.connectors import Connector
from connectors.policies import reach
from connectors.telemetry import store
from console.core.access import actor, acts, shows, takes_form
from console.core.errors import Refusal
from console.kit import tables, web
from console.models import Region


def _regions(request: HttpRequest) -> list[tuple[str, str]]:
    return [(region.pk, region.name) for region in Region.objects.all()]


TABLE = tables.Table(
    columns=(
        tables.Column("name", "Instance Name/ID", ("name",)),
        tables.Column("region", "Region", ("region__position",)),
        tables.Column("status", "Instance Status"),
        tables.Column("switch", "Instance Switch", ("enabled",)),
        tables.Column("servers", "Servers running"),
        tables.Column("applications", "Applications", align="end"),
        tables.Column("policies", "Policies", align="end"),
        tables.Column("throughput", "Throughput now"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_connector_row.html",
    search=("name", "id"),
    filters=(
        tables.Filter("region", "Region", _regions),
        tables.Filter(
            "status",
            "Instance Status",
            [("online", "Online"), ("offline", "Offline")],
            lambda rows, value: selectors.with_status(rows, online=value == "online"),
        ),
        tables.switch_filter("switch", "Instance Switch"),
    ),
    default_sort="name",
    label="Connectors",
    empty="There is no connector yet",
    empty_hint="A connector brings users to applications outside the cloud. Add one, then deploy it on a server there.",
    live_seconds=5,
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("region", "region.name"),
        ("region_id", "region_id"),
        ("status", lambda row: "Online" if row.online else "Offline"),
        ("switch", lambda row: "Enabled" if row.enabled else "Disabled"),
        ("servers_running", "servers_running"),
        ("servers", "servers_all"),
        ("applications", lambda row: "All" if row.all_applications else row.applications_count),
        ("policies", "policies_count"),
        ("receive_bps", "rate.receive"),
        ("send_bps", "rate.send"),
    ),
)


@shows("viewer")
@web.with_charts  # the Details panel, which opens over this page, shows charts
def connector_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.connectors_to_page(), _with_rates)
    off = [row.pk for row in page.rows if not row.enabled]
    recent = cuts.recent_cuts(off) if off else {}
    base = reverse("connectors:list")
    for row in page.rows:
        row.cut, row.base = recent.get(row.pk), f"{base}{row.pk}/"
    context = {"policies_url": reverse("connectors:policies")}
    return tables.render(request, "connectors/list.html", page, context)


def _with_rates(connectors: list[Any]) -> None:
    rates = store.current_of_connectors([row.pk for row in connectors])
    for row in connectors:
        row.rate = rates.get(row.pk)


@shows("operator")
def connector_menu(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show what else can be done: a menu in the list, or without a script a page of the same links."""
    connector = get_object_or_404(Connector, pk=connector_id)
    alone = web.htmx_target(request) == "row-menu"
    template = "connectors/_menu.html" if alone else "connectors/menu.html"
    return render(request, template, {"connector": connector})


@takes_form("operator")
def connector_add(request: HttpRequest) -> HttpResponse:
    form = ConnectorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            connector = services.connector_create(actor=actor(request), **form.cleaned_data)
            message = f"{connector.name} was added. Deploy it on a server next."
            return web.done(request, reverse("connectors:list"), message)
    return web.form_page(request, "connectors/add.html", {"form": form})


@acts("operator")
def connector_switch(request: HttpRequest, connector_id: str, enabled: bool) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    url = web.safe_next(request, reverse("connectors:list"))
    services.connector_switch(connector=connector, enabled=enabled, actor=actor(request))
    if not enabled:
        message = f"{connector.name} is disabled: nobody reaches the applications behind it."
        return web.done(request, url, message)
    message = f"{connector.name} is enabled: users reach the applications behind it again."
    # Stay in the Details panel after a switch there.
    return web.done(request, url, message, into="panel" if web.htmx_target(request) == "panel" else "page")


@shows("operator")
def connector_confirm_disable(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Say what switching a connector off breaks, before anything is switched."""
    connector = get_object_or_404(selectors.connectors_with_status(), pk=connector_id)
    effect = reach.without(connector)
    names = dict(Connector.objects.filter(pk__in=effect.moving).values_list("pk", "name"))
    back = web.safe_next(request, reverse("connectors:list"))
    return web.ask(
        request,
        "Disable",
        connector.name,
        action=reverse("connectors:disable", args=[connector.pk]),
        back=back,
        next=back,
        template="connectors/confirm_disable.html",
        connector=connector,
        policies=connector.policies.filter(enabled=True),
        effect=effect,
        moving=[(names.get(pk, pk), users) for pk, users in effect.moving.most_common()],
        open_flows=selectors.open_flows(connector),
    )


@shows("viewer")
def connector_cut(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show how far the last cut-over is; the page asks again until the cut-over is complete."""
    connector = get_object_or_404(Connector, pk=connector_id)
    return render(request, "connectors/_cut.html", {"connector": connector, "cut": cuts.last_cut(connector)})


@takes_form("operator")
def connector_rename(request: HttpRequest, connector_id: str) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    form = RenameForm(request.POST or None, initial={"name": connector.name})
    if request.method == "POST" and form.is_valid():
        before = connector.name
        try:
            services.connector_rename(
                connector=connector, name=form.cleaned_data["name"], actor=actor(request)
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
            connector.name = before
        else:
            return web.done(request, reverse("connectors:list"), f"{before} is now called {connector.name}.")
    return web.form_page(request, "connectors/rename.html", {"form": form, "connector": connector})


@shows("operator")
def connector_confirm_delete(request: HttpRequest, connector_id: str) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    servers = [str(server) for server in connector.servers.all()]
    if len(servers) > 1:
        gone = f"The servers {', '.join(servers)} are removed with what they measured, and their keys no longer open"
    elif servers:
        gone = f"The server {servers[0]} is removed with what it measured, and its key no longer opens"
    removed = f"{gone} the console." if servers else "The connector has no server."
    return web.ask(
        request,
        "Delete",
        connector.name,
        action=reverse("connectors:delete", args=[connector.pk]),
        back=reverse("connectors:list"),
        template="connectors/confirm_delete.html",
        policies=connector.policies.all(),
        consequence=f"{removed} Open connections through the connector are cut.",
    )


@acts("operator")
def connector_delete(request: HttpRequest, connector_id: str) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=connector_id)
    services.connector_delete(connector=connector, actor=actor(request))
    return web.done(request, reverse("connectors:list"), f"{connector.name} was deleted.")
