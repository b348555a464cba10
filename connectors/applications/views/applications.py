"""Pages of application management: list, add, edit, switch, delete."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from connectors.applications import selectors, services
from connectors.applications.addresses import shown_ports
from connectors.applications.files import CSV, dated
from connectors.applications.forms import ApplicationForm
from connectors.applications.models import Application
from console.core import versions
from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web

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
    find=selectors.matching,
    search_label="Search by name, ID, address or tag",
    filters=(
        tables.Filter("protocol", "Protocol", Application.Protocol.choices),
        tables.switch_filter("status", "Status"),
    ),
    default_sort="name",
    label="Applications",
    empty="There is no application yet",
    empty_hint="Name the hosts and ports that users shall reach; a forwarding policy then says who and by which way.",
    csv=CSV,
)
URL = "connectors:applications"
TEMPLATE = "connectors/application.html"


@shows("viewer")
def application_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.applications_to_page())
    if page.as_csv:
        return application_export(request)
    ids = [row.pk for row in page.rows]
    addresses = selectors.first_addresses(ids) if ids else {}
    ports = selectors.first_ports(ids) if ids else {}
    for row in page.rows:
        found, number = addresses.get(row.pk, ([], 0))
        row.first_addresses, row.more_addresses = [address for (address,) in found], number - len(found)
        found, number = ports.get(row.pk, ([], 0))
        row.shown_ports = shown_ports(found) + (
            f" and {number - len(found)} more" if number > len(found) else ""
        )
    return tables.render(request, "connectors/applications.html", page)


@shows("viewer")
def application_export(request: HttpRequest) -> HttpResponseBase:
    """Send applications as a file that the import takes, narrowed and ordered as in their list."""
    found = selectors.applications_to_page().prefetch_related("addresses", "ports")
    return TABLE.file(request, found, dated(versions.newest()))


@takes_form("operator")
def application_add(request: HttpRequest) -> HttpResponse:
    form = ApplicationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            application = services.application_create(actor=actor(request), **form.cleaned_data)
            message = f"{application.name} was added. Nobody reaches it until a forwarding policy allows it."
            return web.done(request, reverse(URL), message)
    return web.form_page(request, TEMPLATE, {"form": form, "application": None})


@takes_form("operator")
def application_edit(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    form = ApplicationForm(request.POST or None, initial=_initial(application))
    del form.fields["enabled"]
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.application_update(application=application, actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return web.form_page(request, TEMPLATE, {"form": form, "application": application})


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


@acts("operator")
def application_switch(request: HttpRequest, application_id: str, enabled: bool) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    services.application_switch(application=application, enabled=enabled, actor=actor(request))
    said = "is enabled." if enabled else "is disabled: open connections to it are cut."
    return web.done(request, reverse(URL), f"{application.name} {said}")


@shows("operator")
def application_confirm_disable(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    return web.ask(
        request,
        "Disable",
        application.name,
        action=reverse("connectors:application_disable", args=[application.pk]),
        back=reverse(URL),
        consequence="Nobody reaches the application while it is disabled. "
        "Open connections to the application are cut at once.",
    )


@shows("operator")
def application_confirm_delete(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    return web.ask(
        request,
        "Delete",
        application.name,
        action=reverse("connectors:application_delete", args=[application.pk]),
        back=reverse(URL),
        template="connectors/confirm_delete.html",
        policies=application.policies.all(),
        consequence="No forwarding policy names this application. Open connections to the application, which a "
        "policy may allow by a tag or for all applications, are cut.",
    )


@acts("operator")
def application_delete(request: HttpRequest, application_id: str) -> HttpResponse:
    application = get_object_or_404(Application, pk=application_id)
    services.application_delete(application=application, actor=actor(request))
    return web.done(request, reverse(URL), f"{application.name} was deleted.")
