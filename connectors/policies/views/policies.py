"""Pages of forwarding policies: the list in evaluation order, and the panels that create and edit."""

from django.db.models import Case, Q, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from connectors.fleet.models.connectors import Connector
from connectors.policies import marks as policy_marks
from connectors.policies import pickers, selectors, services
from connectors.policies.forms import PolicyForm, PriorityForm
from connectors.policies.models.policies import PRIORITY_SENTENCE, Policy
from console.core.access import actor, acts, repeatable, shows, takes_form
from console.core.errors import Invalid
from console.kit import tables, web

MOST_CHOICES = 50


def _connectors(request: HttpRequest) -> list[tuple[str, str]]:
    """Choices of the connector filter: the chosen connector, and as many others with policies as a list can show."""
    chosen = Q(pk=request.GET.get("connector", "")[:40].replace("\0", ""))
    found = Connector.objects.filter(chosen | Q(pk__in=Policy.objects.order_by().values("connector")))
    return list(
        found.order_by(Case(When(chosen, then=0), default=1), "name__fold").values_list("pk", "name")[
            :MOST_CHOICES
        ]
    )


TABLE = tables.Table(
    columns=(
        tables.Column("priority", "Priority", ("priority", "created_at"), width="s"),
        tables.Column("name", "Policy Name/ID", ("name",)),
        tables.Column("users", "Applicable users"),
        tables.Column("applications", "Applications"),
        tables.Column("connector", "Associated Connector", ("connector__name",)),
        tables.Column("status", "Policy Status", ("enabled",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="connectors/_policy_row.html",
    search=("name", "id", "description", "connector__name"),
    filters=(tables.Filter("connector", "Connector", _connectors),),
    default_sort="priority",
    label="Forwarding policies",
    empty="There is no forwarding policy yet",
    empty_hint="Without one nobody reaches an application: what no policy allows is denied.",
    live_seconds=10,
    csv=(
        ("priority", "priority"),
        ("name", "name"),
        ("id", "pk"),
        ("description", "description"),
        ("all_users", "all_users"),
        ("groups", "groups_count"),
        ("accounts", "accounts_count"),
        ("all_applications", "all_applications"),
        ("applications", "applications_count"),
        ("tags", "tags_count"),
        ("connector", "connector.name"),
        ("connector_id", "connector_id"),
        ("status", lambda row: "Enabled" if row.enabled else "Disabled"),
    ),
)
URL = "connectors:policies"


@shows("viewer")
def policy_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.policies_with_sizes())
    marks = policy_marks.marks(row.pk for row in page.rows)
    base = reverse(URL)
    for row in page.rows:
        row.marks, row.base = marks.get(row.pk), f"{base}{row.pk}/"
    context = {"connectors_url": reverse("connectors:list")}
    return tables.render(request, "connectors/policies.html", page, context)


def _panel(request: HttpRequest, form: PolicyForm, policy: Policy | None = None) -> HttpResponse:
    return web.form_page(request, "connectors/policy.html", {"form": form, "policy": policy})


@takes_form("operator")
def policy_add(request: HttpRequest) -> HttpResponse:
    """Show the Create Policy panel; ``connector`` in the query string chooses a connector beforehand."""
    form = PolicyForm(request.POST or None, initial={"connector": request.GET.get("connector")})
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            policy = services.policy_create(actor=actor(request), **form.values())
            return web.done(request, reverse(URL), f"{policy.name} was created and is in force at once.")
    return _panel(request, form)


@takes_form("operator")
def policy_edit(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    form = PolicyForm(request.POST or None, initial=_initial(policy))
    del form.fields["enabled"]
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.policy_update(policy=policy, actor=actor(request), **form.values())
            return web.done(request, reverse(URL), f"{form.cleaned_data['name']} was changed.")
    return _panel(request, form, policy)


def _initial(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "description": policy.description,
        "priority": policy.priority,
        "users": "all" if policy.all_users else "selected",
        "groups": list(policy.groups.values_list("pk", flat=True)),
        "accounts": list(policy.accounts.values_list("pk", flat=True)),
        "scope": "all" if policy.all_applications else "tags" if policy.tags.exists() else "selected",
        "applications": list(policy.applications.values_list("pk", flat=True)),
        "tags": list(policy.tags.values_list("pk", flat=True)),
        "connector": policy.connector_id,
    }


@repeatable
@acts("operator")
def pick(request: HttpRequest, kind: str) -> HttpResponse:
    """Show a picker after a search, and keep what is chosen; that may be long, which is why this is a POST."""
    if kind not in pickers.KINDS:
        raise Http404
    picker = pickers.pick(kind, request.POST.getlist(kind), request.POST.get(f"find_{kind}", ""))
    return render(request, "connectors/_choices.html", {"picker": picker})


@acts("operator")
def policy_priority(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Give a policy another priority, which moves it within the order."""
    policy = get_object_or_404(Policy, pk=policy_id)
    form = PriorityForm(request.POST)
    if not form.is_valid():
        raise Invalid(PRIORITY_SENTENCE, field="priority")
    priority = form.cleaned_data["priority"]
    services.policy_update(policy=policy, priority=priority, actor=actor(request))
    return _back(request, f"{policy.name} has priority {priority}.")


def _back(request: HttpRequest, message: str) -> HttpResponse:
    """Return to where the change was asked for: the list, or the Details panel of a connector."""
    url = web.safe_next(request, reverse(URL))
    return web.done(request, url, message, into="panel" if web.htmx_target(request) == "panel" else "page")


@acts("operator")
def policy_switch(request: HttpRequest, policy_id: str, enabled: bool) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    services.policy_switch(policy=policy, enabled=enabled, actor=actor(request))
    if enabled:
        return _back(request, f"{policy.name} is enabled.")
    url = web.safe_next(request, reverse(URL))
    return web.done(request, url, f"{policy.name} is disabled: what only it allowed is cut.")


@shows("operator")
def policy_confirm_disable(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy.objects.select_related("connector"), pk=policy_id)
    back = web.safe_next(request, reverse(URL))
    return web.ask(
        request,
        "Disable",
        policy.name,
        action=reverse("connectors:policy_disable", args=[policy.pk]),
        back=back,
        next=back,
        consequence=f"Connections that only this policy allows, through {policy.connector}, are cut at once.",
    )


@shows("operator")
def policy_confirm_delete(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy.objects.select_related("connector"), pk=policy_id)
    allows = f"Connections that only this policy allows, through {policy.connector}, are cut at once."
    return web.ask(
        request,
        "Delete",
        policy.name,
        action=reverse("connectors:policy_delete", args=[policy.pk]),
        back=reverse(URL),
        template="connectors/confirm_delete.html",
        consequence=allows if policy.enabled else "It is disabled, so no connection depends on it.",
    )


@acts("operator")
def policy_delete(request: HttpRequest, policy_id: str) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    services.policy_delete(policy=policy, actor=actor(request))
    return web.done(request, reverse(URL), f"{policy.name} was deleted.")
