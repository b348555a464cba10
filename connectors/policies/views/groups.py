"""Pages of user groups: list, add, edit with a preview of the members, delete."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from connectors.policies import membership, selectors, services
from connectors.policies.forms import GroupForm
from connectors.policies.models.groups import UserGroup
from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web

TABLE = tables.Table(
    columns=(
        tables.Column("name", "Group Name/ID", ("name",)),
        tables.Column("description", "Description"),
        tables.Column("accounts", "Client accounts", ("accounts_count",), align="end"),
        tables.Column("rules", "Rules", ("rules_count",), align="end"),
        tables.Column("policies", "Policies", ("policies_count",), align="end"),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_group_row.html",
    search=("name", "id", "description"),
    default_sort="name",
    label="User groups",
    empty="There is no user group yet",
    empty_hint="Groups put client accounts under one name that forwarding policies can use.",
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("description", "description"),
        ("accounts", "accounts_count"),
        ("rules", "rules_count"),
        ("policies", "policies_count"),
    ),
)
URL = "connectors:groups"


def _panel(request: HttpRequest, form: GroupForm, group: UserGroup | None = None) -> HttpResponse:
    """Show the form; after «Preview» with the accounts that the group would have."""
    context: dict[str, Any] = {"form": form, "group": group}
    if "preview" in request.POST and form.is_valid():
        context["preview"] = membership.preview(form.cleaned_data["accounts"], form.cleaned_data["rules"])
    return web.form_page(request, "connectors/group.html", context)


@shows("viewer")
def group_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.groups_with_sizes())
    return tables.render(request, "connectors/groups.html", page)


@takes_form("operator")
def group_add(request: HttpRequest) -> HttpResponse:
    form = GroupForm(request.POST or None)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        with web.refusals_in(form):
            group = services.group_create(actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse(URL), f"{group.name} was created.")
    return _panel(request, form)


@takes_form("operator")
def group_edit(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    initial: dict[str, Any] = {"name": group.name, "description": group.description}
    initial["accounts"] = list(group.accounts.values_list("pk", flat=True))
    initial["rules"] = group.rules.all()
    form = GroupForm(request.POST or None, initial=initial)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        with web.refusals_in(form):
            services.group_update(group=group, actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return _panel(request, form, group)


@shows("operator")
def group_confirm_delete(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    return web.ask(
        request,
        "Delete",
        group.name,
        action=reverse("connectors:group_delete", args=[group.pk]),
        back=reverse(URL),
        template="connectors/confirm_delete.html",
        policies=group.policies.all(),
        consequence="No forwarding policy names it; its client accounts stay.",
    )


@acts("operator")
def group_delete(request: HttpRequest, group_id: str) -> HttpResponse:
    group = get_object_or_404(UserGroup, pk=group_id)
    services.group_delete(group=group, actor=actor(request))
    return web.done(request, reverse(URL), f"{group.name} was deleted.")
