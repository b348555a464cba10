"""User groups."""

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import services
from connectors.forms import GroupForm
from connectors.models import UserGroup
from console import tables, web
from console.access import role_required
from console.admin_services import actor
from console.errors import Refusal

TABLE = tables.Table(
    columns=(
        tables.Column("name", "Group Name/ID", ("name",)),
        tables.Column("description", "Description"),
        tables.Column("accounts", "Client accounts", ("accounts_count",), align="end"),
        tables.Column("policies", "Policies", ("policies_count",), align="end"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_group_row.html",
    search=("name", "id", "description"),
    default_sort="name",
    label="User groups",
    empty="There is no user group yet",
    empty_hint="Groups put client accounts under one name that forwarding policies can use.",
)
URL = "connectors:groups"


@require_safe
@role_required("viewer")
def group_list(request: HttpRequest) -> HttpResponse:
    rows = UserGroup.objects.annotate(
        accounts_count=Count("accounts", distinct=True), policies_count=Count("policies", distinct=True)
    )
    return tables.render(request, "connectors/groups.html", TABLE.page(request, rows))


@require_http_methods(["GET", "POST"])
@role_required("operator")
def group_add(request: HttpRequest) -> HttpResponse:
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            group = services.group_create(actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse(URL), f"{group.name} was created.")
    return web.form_page(request, "connectors/group_add.html", {"form": form})


@require_http_methods(["GET", "POST"])
@role_required("operator")
def group_edit(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    accounts = group.accounts.all()
    initial = {"name": group.name, "description": group.description, "accounts": accounts}
    form = GroupForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.group_update(group=group, actor=actor(request), **form.cleaned_data)
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return web.form_page(request, "connectors/group_edit.html", {"form": form, "group": group})


@require_safe
@role_required("operator")
def group_confirm_delete(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    return render(
        request, "connectors/confirm_delete_group.html", {"group": group, "policies": group.policies.all()}
    )


@require_POST
@role_required("operator")
def group_delete(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    services.group_delete(group=group, actor=actor(request))
    return web.done(request, reverse(URL), f"{group.name} was deleted.")
