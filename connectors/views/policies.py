"""Forwarding policies: the list in evaluation order, and the Create Policy panel."""

from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connectors import selectors, services
from connectors.forms import PolicyForm
from connectors.models import Connector, Policy
from console import tables, web
from console.access import role_required
from console.admin_services import actor
from console.errors import Refusal


def _connectors(request: HttpRequest) -> list[tuple[str, str]]:
    return list(Connector.objects.values_list("pk", "name"))


TABLE = tables.Table(
    columns=(
        tables.Column("priority", "Priority", ("priority", "created_at"), align="end", width="xs"),
        tables.Column("name", "Policy Name/ID", ("name",)),
        tables.Column("users", "Applicable users"),
        tables.Column("applications", "Applications"),
        tables.Column("connector", "Associated Connector", ("connector__name",)),
        tables.Column("status", "Policy Status", ("enabled",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_policy_row.html",
    search=("name", "id", "description"),
    filters=(
        tables.Filter(
            "connector", "Connector", _connectors, lambda rows, value: rows.filter(connector=value)
        ),
    ),
    default_sort="priority",
    label="Forwarding policies",
    empty="There is no forwarding policy yet",
    empty_hint="Without one nobody reaches an application: what no policy allows is denied.",
    live_seconds=10,
)
URL = "connectors:policies"


def _rows() -> QuerySet[Policy]:
    """Policies with the sizes of what they name; each count is a subquery, so that none multiplies another."""
    return Policy.objects.select_related("connector").annotate(
        groups_count=selectors.count_of(
            Policy.groups.through.objects.filter(policy=OuterRef("pk")), "policy"
        ),
        accounts_count=selectors.count_of(
            Policy.accounts.through.objects.filter(policy=OuterRef("pk")), "policy"
        ),
        applications_count=selectors.count_of(
            Policy.applications.through.objects.filter(policy=OuterRef("pk")), "policy"
        ),
    )


@require_safe
@role_required("viewer")
def policy_list(request: HttpRequest) -> HttpResponse:
    page = TABLE.page(request, _rows())
    online = selectors.online({row.connector_id for row in page.rows})
    for row in page.rows:
        row.connector_online = row.connector_id in online
    return tables.render(request, "connectors/policies.html", page)


@require_http_methods(["GET", "POST"])
@role_required("operator")
def policy_add(request: HttpRequest) -> HttpResponse:
    """The Create Policy panel. ``connector`` in the query string chooses one beforehand."""
    form = PolicyForm(request.POST or None, initial={"connector": request.GET.get("connector")})
    if request.method == "POST" and form.is_valid():
        try:
            policy = services.policy_create(actor=actor(request), **form.values())
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse(URL), f"{policy.name} was created and is in force at once.")
    return web.form_page(request, "connectors/policy_add.html", {"form": form})


@require_http_methods(["GET", "POST"])
@role_required("operator")
def policy_edit(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    form = PolicyForm(request.POST or None, initial=_initial(policy))
    del form.fields["enabled"]
    if request.method == "POST" and form.is_valid():
        try:
            services.policy_update(policy=policy, actor=actor(request), **form.values())
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return web.form_page(request, "connectors/policy_edit.html", {"form": form, "policy": policy})


def _initial(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "description": policy.description,
        "priority": policy.priority,
        "users": "all" if policy.all_users else "selected",
        "groups": [group.pk for group in policy.groups.all()],
        "accounts": list(policy.accounts.all()),
        "scope": "all" if policy.all_applications else "selected",
        "applications": [application.pk for application in policy.applications.all()],
        "connector": policy.connector_id,
    }


@require_POST
@role_required("operator")
def policy_enable(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = services.policy_enable(policy=get_object_or_404(Policy, pk=policy_id), actor=actor(request))
    return web.done(request, reverse(URL), f"{policy.name} is enabled.")


@require_safe
@role_required("operator")
def policy_confirm_disable(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy.objects.select_related("connector"), pk=policy_id)
    context = {
        "name": policy.name,
        "action": reverse("connectors:policy_disable", args=[policy.pk]),
        "back": reverse(URL),
        "consequence": f"Connections that only this policy allows, through {policy.connector}, are cut at once.",
    }
    return render(request, "connectors/confirm_switch_off.html", context)


@require_POST
@role_required("operator")
def policy_disable(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = services.policy_disable(policy=get_object_or_404(Policy, pk=policy_id), actor=actor(request))
    return web.done(request, reverse(URL), f"{policy.name} is disabled: what only it allowed is cut.")


@require_safe
@role_required("operator")
def policy_confirm_delete(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(_rows(), pk=policy_id)
    return render(request, "connectors/confirm_delete_policy.html", {"policy": policy})


@require_POST
@role_required("operator")
def policy_delete(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    services.policy_delete(policy=policy, actor=actor(request))
    return web.done(request, reverse(URL), f"{policy.name} was deleted.")
