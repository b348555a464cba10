"""Pages of CCNs and their cloud networks."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web
from roaming.ccns import selectors, services
from roaming.ccns.forms import CCNForm, CloudNetworkForm
from roaming.ccns.models import CCN, CloudNetwork

TABLE = tables.Table(
    columns=(
        tables.Column("name", "Name/ID", ("name",)),
        tables.Column("networks", "Cloud networks"),
        tables.Column("instances", "Instances", ("instances_bound",), align="end"),
        tables.Column("description", "Description"),
        tables.Column("created", "Created", ("created_at",)),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="roaming/ccns/_row.html",
    search=("name", "id"),
    default_sort="name",
    label="CCNs",
    empty="There is no CCN in this area yet",
    empty_hint="Add a CCN with the cloud networks that the area's gateways reach, then bind instances to the CCN.",
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("cloud_networks", lambda row: [network.cidr for network in row.cloud_networks.all()]),
        ("instances", "instances_bound"),
        ("description", "description"),
        ("created", "created_at"),
    ),
)


@shows("viewer")
def ccn_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.ccns_in(web.current_area(request)))
    return tables.render(request, "roaming/ccns/list.html", page)


@takes_form("operator")
def ccn_add(request: HttpRequest) -> HttpResponse:
    area = web.area_or_404(request)
    form = CCNForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            ccn = services.ccn_create(area=area, **form.cleaned_data, actor=actor(request))
            return web.done(request, reverse("roaming:ccns"), f"{ccn.name} was added.")
    return web.form_page(request, "roaming/ccns/add.html", {"form": form})


@shows("viewer")
def ccn_detail(request: HttpRequest, ccn_id: str) -> HttpResponse:
    """Show the CCN's cloud networks, with the form that ``network_add`` takes."""
    return _detail(request, get_object_or_404(CCN, pk=ccn_id), CloudNetworkForm())


@acts("operator")
def network_add(request: HttpRequest, ccn_id: str) -> HttpResponse:
    ccn = get_object_or_404(CCN, pk=ccn_id)
    form = CloudNetworkForm(request.POST)
    if form.is_valid():
        with web.refusals_in(form):
            network = services.cloud_network_add(
                ccn=ccn, cidr=form.cleaned_data["cidr"], actor=actor(request)
            )
            url = reverse("roaming:ccn", args=[ccn.pk])
            return web.done(request, url, f"{network.cidr} was added.", into="panel")
    return _detail(request, ccn, form)


@shows("operator")
def network_confirm_remove(request: HttpRequest, ccn_id: str, network_id: int) -> HttpResponse:
    network = get_object_or_404(CloudNetwork.objects.select_related("ccn"), pk=network_id, ccn=ccn_id)
    return web.ask(
        request,
        "Remove",
        network.cidr,
        action=reverse("roaming:network_remove", args=[ccn_id, network_id]),
        back=reverse("roaming:ccn", args=[ccn_id]),
        template="roaming/ccns/confirm_remove.html",
        network=network,
        bound=network.ccn.instances.count(),
    )


@acts("operator")
def network_remove(request: HttpRequest, ccn_id: str, network_id: int) -> HttpResponse:
    network = get_object_or_404(CloudNetwork.objects.select_related("ccn"), pk=network_id, ccn=ccn_id)
    services.cloud_network_remove(network=network, actor=actor(request))
    return web.done(
        request, reverse("roaming:ccn", args=[ccn_id]), f"{network.cidr} was removed.", into="panel"
    )


@shows("operator")
def ccn_confirm_delete(request: HttpRequest, ccn_id: str) -> HttpResponse:
    ccn = get_object_or_404(CCN, pk=ccn_id)
    return web.ask(
        request,
        "Delete",
        ccn.name,
        action=reverse("roaming:ccn_delete", args=[ccn.pk]),
        back=reverse("roaming:ccns"),
        template="roaming/ccns/confirm_delete.html",
        bound=list(ccn.instances.order_by("name__fold")[:20]),
    )


@acts("operator")
def ccn_delete(request: HttpRequest, ccn_id: str) -> HttpResponse:
    ccn = get_object_or_404(CCN, pk=ccn_id)
    services.ccn_delete(ccn=ccn, actor=actor(request))
    return web.done(request, reverse("roaming:ccns"), f"{ccn.name} was deleted.")


def _detail(request: HttpRequest, ccn: CCN, form: CloudNetworkForm) -> HttpResponse:
    context = {
        "ccn": ccn,
        "form": form,
        "networks": list(ccn.cloud_networks.all()),
        "bound": list(ccn.instances.order_by("name__fold")[:20]),
    }
    return web.form_page(request, "roaming/ccns/detail.html", context)
