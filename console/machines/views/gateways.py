"""Pages of gateways."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from console.core.access import actor, acts, shows, takes_form
from console.core.errors import Refusal
from console.kit import tables, web
from console.machines import clones, config, deploy, enrollment, epochs, gateway_upgrades, services
from console.machines.forms import GatewayForm
from console.machines.models.machines import Gateway

# (is it enrolled, is it heard of) → words.
STATUS = {
    (False, False): "not enrolled",
    (False, True): "not enrolled",
    (True, True): "reached",
    (True, False): "not reached",
}
TABLE = tables.Table(
    columns=(
        tables.Column("name", "Name/ID", ("name",)),
        tables.Column("region", "Region", ("region__position",)),
        tables.Column("status", "Status"),
        tables.Column("address", "Address", ("public_host", "client_port")),
        tables.Column("configuration", "Configuration", ("applied_version",)),
        tables.Column("flows", "Open flows", ("open_flows",), align="end"),
        tables.Column("heard", "Last heard", ("heard_at",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/gateways/_row.html",
    search=("name", "id", "public_host"),
    default_sort="name",
    label="Gateways",
    empty="There is no gateway yet",
    empty_hint="Without a gateway no user can connect. Add one, then run its command on the machine.",
    live_seconds=5,
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("region", "region.name"),
        ("region_id", "region_id"),
        ("area", "region.area.name"),
        ("status", lambda row: STATUS[bool(row.enrolled_at), row.is_heard]),
        ("address", "proxy_url"),
        ("tunnel_port", "tunnel_port"),
        ("configuration", "standing"),
        ("version", "applied_version"),
        ("open_flows", lambda row: row.open_flows if row.is_heard else None),
        ("last_heard", "heard_at"),
    ),
)


@shows("viewer")
def gateway_list(request: HttpRequest) -> HttpResponseBase:
    gateways = Gateway.objects.select_related("region__area").annotate(draining=gateway_upgrades.IN_HAND)
    gateways = gateways.annotate(contested=clones.contested())
    now = config.current()

    def dress(rows: list[Any]) -> None:
        copies = clones.copies() if any(row.contested for row in rows) else {}
        for row in rows:
            row.standing = epochs.standing(now, "version", row).value
            row.copies = copies.get(row.pk, ())

    page = TABLE.page(request, gateways, dress)
    # A function, which the table alone, fetched every few seconds, does not call.
    context = {"wanted": now.version, "area_upgrades": gateway_upgrades.shown_by_area}
    return tables.render(request, "console/gateways/list.html", page, context)


@takes_form("administrator")
def gateway_add(request: HttpRequest) -> HttpResponse:
    form = GatewayForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            gateway = services.gateway_create(actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            url = reverse("gateways:deploy", args=[gateway.pk])
            return web.done(request, url, f"{gateway.name} was added. Now run its command.", into="panel")
    return web.form_page(request, "console/gateways/add.html", {"form": form})


@takes_form("administrator")
@never_cache
def gateway_deploy(request: HttpRequest, gateway_id: str) -> HttpResponse:
    """Show the commands for the machine. A POST makes a one-use code, shown in this answer and nowhere else."""
    gateway = get_object_or_404(Gateway, pk=gateway_id)
    context: dict[str, object] = {"gateway": gateway, "may_write": True}
    if request.method == "POST":
        click = deploy.click_of(request)
        code, record = enrollment.code_create(
            kind="gateway", target=gateway.pk, actor=actor(request), click=click
        )
        context |= {"code": code, "record": record}
    return render(request, "console/gateways/deploy.html", context | deploy.panel("gateway", gateway.pk))


@acts("administrator")
def gateway_code_revoke(request: HttpRequest, gateway_id: str) -> HttpResponse:
    """Revoke a code. The body names it, since a URL stands in logs as well."""
    gateway = get_object_or_404(Gateway, pk=gateway_id)
    digest = request.POST.get("code", "")[:64].replace("\0", "")
    enrollment.code_revoke(target=gateway.pk, digest=digest, actor=actor(request))
    url = reverse("gateways:deploy", args=[gateway.pk])
    return web.done(request, url, "The code was revoked; nobody can use it any more.", into="panel")


@shows("administrator")
def gateway_confirm_delete(request: HttpRequest, gateway_id: str) -> HttpResponse:
    gateway = get_object_or_404(Gateway.objects.select_related("region__area"), pk=gateway_id)
    return web.ask(
        request,
        "Delete",
        gateway.name,
        action=reverse("gateways:delete", args=[gateway.pk]),
        back=reverse("gateways:list"),
        template="console/gateways/confirm_delete.html",
        gateway=gateway,
    )


@acts("administrator")
def gateway_delete(request: HttpRequest, gateway_id: str) -> HttpResponse:
    gateway = get_object_or_404(Gateway, pk=gateway_id)
    services.gateway_delete(gateway=gateway, actor=actor(request))
    return web.done(request, reverse("gateways:list"), f"{gateway.name} was deleted.")
