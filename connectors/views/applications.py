"""Application management."""

from collections import defaultdict
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, RowNumber
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import selectors, services
from connectors.addresses import shown_ports
from connectors.forms import ApplicationForm
from connectors.models import Application, ApplicationAddress, ApplicationPorts, Policy
from console import tables, web
from console.access import actor, role_required
from console.errors import Refusal


def _find(rows: QuerySet, word: str) -> QuerySet:
    """By name, id, description, address or tag; subqueries, so that no application appears twice."""
    by_address = ApplicationAddress.objects.filter(address__icontains=word).values("application")
    by_tag = Application.tags.through.objects.filter(tag__name__icontains=word).values("application")
    own = Q(name__icontains=word) | Q(pk__icontains=word) | Q(description__icontains=word)
    return rows.filter(own | Q(pk__in=by_address) | Q(pk__in=by_tag))


TABLE = tables.Table(
    columns=(
        tables.Column("name", "Application Name/ID", ("name",)),
        tables.Column("addresses", "Addresses"),
        tables.Column("ports", "Ports"),
        tables.Column("protocol", "Protocol", ("protocol",), width="xs"),
        tables.Column("tags", "Tags"),
        tables.Column("policies", "Policies", ("policies_count",), align="end"),
        tables.Column("status", "Status", ("enabled",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_application_row.html",
    find=_find,
    search_label="Search by name, ID, address or tag",
    filters=(
        tables.Filter(
            "protocol",
            "Protocol",
            Application.Protocol.choices,
            lambda rows, value: rows.filter(protocol=value),
        ),
        tables.Filter(
            "status",
            "Status",
            [("on", "Enabled"), ("off", "Disabled")],
            lambda rows, value: rows.filter(enabled=value == "on"),
        ),
    ),
    default_sort="name",
    label="Applications",
    empty="There is no application yet",
    empty_hint="Name the hosts and ports that users shall reach; a forwarding policy then says who and by which way.",
)
URL = "connectors:applications"
SHOWN = 3


@require_safe
@role_required("viewer")
def application_list(request: HttpRequest) -> HttpResponse:
    rows = Application.objects.annotate(policies_count=_policies_count()).prefetch_related("tags")
    page = TABLE.page(request, rows)
    ids = [row.pk for row in page.rows]
    addresses = _first(ApplicationAddress.objects.filter(application__in=ids), "id", "address") if ids else {}
    ports = (
        _first(ApplicationPorts.objects.filter(application__in=ids), "begin", "begin", "end") if ids else {}
    )
    for row in page.rows:
        found, number = addresses.get(row.pk, ([], 0))
        row.first_addresses, row.more_addresses = [address for (address,) in found], number - len(found)
        found, number = ports.get(row.pk, ([], 0))
        row.shown_ports = shown_ports(found) + (
            f" and {number - len(found)} more" if number > len(found) else ""
        )
    return tables.render(request, "connectors/applications.html", page)


def _policies_count() -> Any:
    """How many policies name an application, by itself or by a tag of its; no policy does both."""
    own = OuterRef("pk")
    by_name = selectors.count_of(Policy.applications.through.objects.filter(application=own), "application")
    through: Any = Policy.tags.through
    tagged = through.objects.filter(tag__applications=own).order_by().annotate(one=Value(1))
    by_tag = tagged.values("one").annotate(number=Count("policy", distinct=True)).values("number")
    return by_name + Coalesce(Subquery(by_tag, output_field=IntegerField()), 0)


def _first(rows: QuerySet, order: str, *columns: str) -> dict[str, tuple[list[tuple], int]]:
    """Application → its first few rows, and how many it has: an application may have a thousand. One query."""
    by_application = F("application_id")
    numbered = rows.order_by().annotate(
        place=Window(RowNumber(), partition_by=by_application, order_by=F(order).asc()),
        number=Window(Count("pk"), partition_by=by_application),
    )
    found: dict[str, tuple[list[tuple], int]] = defaultdict(lambda: ([], 0))
    shown = numbered.filter(place__lte=SHOWN).order_by("application_id", "place")
    for application, number, *values in shown.values_list("application_id", "number", *columns):
        found[application] = (found[application][0] + [tuple(values)], number)
    return found


@require_http_methods(["GET", "POST"])
@role_required("operator")
def application_add(request: HttpRequest) -> HttpResponse:
    form = ApplicationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            application = services.application_create(actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            message = f"{application.name} was added. Nobody reaches it until a forwarding policy allows it."
            return web.done(request, reverse(URL), message)
    return web.form_page(request, "connectors/application_add.html", {"form": form})


@require_http_methods(["GET", "POST"])
@role_required("operator")
def application_edit(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    form = ApplicationForm(request.POST or None, initial=_initial(application))
    del form.fields["enabled"]
    if request.method == "POST" and form.is_valid():
        try:
            services.application_update(application=application, actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return web.form_page(
        request, "connectors/application_edit.html", {"form": form, "application": application}
    )


def _initial(application: Application) -> dict[str, object]:
    return {
        "name": application.name,
        "description": application.description,
        "protocol": application.protocol,
        "addresses": "\n".join(address.address for address in application.addresses.all()),
        "ports": shown_ports([(ports.begin, ports.end) for ports in application.ports.all()]),
        "origin": application.origin or "",
        "tags": ", ".join(tag.name for tag in application.tags.all()),
    }


@require_POST
@role_required("operator")
def application_enable(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    services.application_enable(application=application, actor=actor(request))
    return web.done(request, reverse(URL), f"{application.name} is enabled.")


@require_safe
@role_required("operator")
def application_confirm_disable(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    context = {
        "name": application.name,
        "action": reverse("connectors:application_disable", args=[application.pk]),
        "back": reverse(URL),
        "consequence": "Nobody reaches it while it is disabled. Open connections to it are cut at once.",
    }
    return render(request, "connectors/confirm_switch_off.html", context)


@require_POST
@role_required("operator")
def application_disable(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    services.application_disable(application=application, actor=actor(request))
    return web.done(request, reverse(URL), f"{application.name} is disabled: open connections to it are cut.")


@require_safe
@role_required("operator")
def application_confirm_delete(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    context = {
        "name": application.name,
        "action": reverse("connectors:application_delete", args=[application.pk]),
        "back": reverse(URL),
        "policies": application.policies.all(),
        "consequence": "No policy names it alone. Where one covers all applications, open connections to it are cut.",
    }
    return render(request, "connectors/confirm_delete.html", context)


@require_POST
@role_required("operator")
def application_delete(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    services.application_delete(application=application, actor=actor(request))
    return web.done(request, reverse(URL), f"{application.name} was deleted.")
