"""Pages of instances: the list, the basic information, and the forms that add one and set its network."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from console.core.access import actor, shows, takes_form
from console.kit import tables, web
from console.models import Gateway
from roaming.instances import services
from roaming.instances.forms import InstanceForm, NetworkFields
from roaming.instances.selectors import instance_or_404, instances_in
from roaming.networks import usable_count

TABLE = tables.Table(
    columns=(
        tables.Column("name", "Instance ID/name", ("name",)),
        tables.Column("status", "Status", ("status",)),
        tables.Column("region", "Region", ("region__position",)),
        tables.Column("ccn", "CCN", ("ccn__name",)),
        tables.Column("cidrs", "CIDR blocks"),
        tables.Column("accounts", "Accounts/quota", ("accounts_used",), align="end"),
        tables.Column("online", "Online clients", ("online",), align="end"),
        tables.Column("created", "Created", ("created_at",)),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="roaming/instances/_row.html",
    search=("name", "id"),
    default_sort="-created",
    label="Instances",
    empty="There is no instance in this area yet",
    empty_hint="Create one to give people client accounts, or choose another area above.",
    live_seconds=10,
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("status", "get_status_display"),
        ("region", "region.name"),
        ("region_id", "region_id"),
        ("ccn", "ccn.name"),
        ("cidr_blocks", lambda row: [block.cidr for block in row.cidrs.all()]),
        ("accounts", "accounts_used"),
        ("quota", "account_quota"),
        ("online", "online"),
        ("created", "created_at"),
    ),
)


@shows("viewer")
def instance_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, instances_in(web.current_area(request)))
    return tables.render(request, "roaming/instances/list.html", page)


@takes_form("operator")
def instance_add(request: HttpRequest) -> HttpResponse:
    form = InstanceForm(request.POST or None, area=web.area_or_404(request))
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            instance = services.instance_create(**form.cleaned_data, actor=actor(request))
            return web.done(request, reverse("roaming:instances"), f"{instance.name} was created.")
    return web.form_page(request, "roaming/instances/add.html", {"form": form})


@shows("viewer")
def instance_detail(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    blocks = instance.blocks()
    gateways = Gateway.objects.filter(region__area=instance.region.area_id, enrolled_at__isnull=False)
    context = {
        "instance": instance,
        "tab": "basic",
        "blocks": blocks,
        "addresses": usable_count(blocks),
        "gateways": list(gateways.order_by("name__fold")),
    }
    if instance.ccn is not None:
        context["networks"] = list(instance.ccn.cloud_networks.all())
    return render(request, "roaming/instances/basic.html", context)


@takes_form("operator")
def instance_network(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    present = {
        "cidrs": "\n".join(map(str, instance.blocks())),
        "ccn": instance.ccn_id,
        "dns1": instance.dns1,
        "dns2": instance.dns2,
    }
    form = NetworkFields(request.POST or None, initial=present, area=instance.region.area)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.instance_network_update(instance=instance, **form.cleaned_data, actor=actor(request))
            url = reverse("roaming:instance", args=[instance.pk])
            return web.done(request, url, f"The network configuration of {instance.name} was saved.")
    return web.form_page(request, "roaming/instances/network.html", {"form": form, "instance": instance})
