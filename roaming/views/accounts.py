"""Pages of client accounts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console import tables, web
from console.access import role_required
from console.admin_services import actor
from console.errors import Refusal
from roaming import selectors
from roaming.forms import AccountForm
from roaming.models import ClientAccount, Instance
from roaming.services import accounts as services
from roaming.views.instances import instance_or_404

TABLE = tables.Table(
    columns=(
        tables.Column("username", "User name", ("username_key",)),
        tables.Column("email", "E-mail", ("email_key",), width="m"),
        tables.Column("status", "Status", ("-enabled",)),
        tables.Column("ip", "Client IP", ("static_ip",)),
        tables.Column("bandwidth", "Bandwidth", ("bandwidth_kbps",), align="end"),
        tables.Column("roaming", "Roaming"),
        tables.Column("logon", "Last log-on", ("last_logon_at",)),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="roaming/accounts/_row.html",
    search=("username_key", "email_key"),
    search_label="Search by user name or e-mail",
    filters=(
        tables.Filter(
            "enabled",
            "Status",
            (("1", "Enabled"), ("0", "Disabled")),
            lambda rows, value: rows.filter(enabled=value == "1"),
        ),
    ),
    default_sort="username",
    label="Client accounts",
    empty="This instance has no client account yet",
    empty_hint="Add one for every person who is to connect.",
    live_seconds=10,
)


def account_or_404(account_id: str) -> ClientAccount:
    return get_object_or_404(ClientAccount.objects.select_related("instance"), pk=account_id)


def _list_url(account: ClientAccount) -> str:
    return reverse("roaming:accounts", args=[account.instance_id])


@require_safe
@role_required("viewer")
def account_list(request: HttpRequest, instance_id: str) -> HttpResponse:
    # Without its counts: the list counts anyway.
    instance = get_object_or_404(Instance.objects.select_related("region__area"), pk=instance_id)
    rows = selectors.accounts_of(instance)
    words = request.GET.get("q", "").replace("\0", " ").split()
    if len(words) == 1:
        rows = selectors.accounts_matching(rows, words[0])
    page = TABLE.page(request, rows)
    live = selectors.live_sessions_by_account(page.rows)
    for account in page.rows:
        account.live = live[account.pk]
    full = not page.narrowed and page.total >= instance.account_quota
    context = {"instance": instance, "tab": "accounts", "full": full}
    return tables.render(request, "roaming/accounts/list.html", page, context)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@role_required("operator")
def account_add(request: HttpRequest, instance_id: str) -> HttpResponse:
    """A generated password is shown in the answer to the POST and nowhere else."""
    instance = instance_or_404(instance_id)
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            account, password = services.account_create(
                instance=instance, **form.cleaned_data, actor=actor(request)
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            if password is None:
                return web.done(request, _list_url(account), f"{account.username} was added.")
            context = {"instance": instance, "account": account, "password": password}
            response = render(request, "roaming/accounts/added.html", context)
            add_never_cache_headers(response)
            return response
    return web.form_page(request, "roaming/accounts/add.html", {"form": form, "instance": instance})


@require_POST
@role_required("operator")
def account_enable(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    services.account_enable(account=account, actor=actor(request))
    return web.done(request, _list_url(account), f"{account.username} was enabled.")


@require_safe
@role_required("operator")
def account_confirm_disable(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "roaming/accounts/confirm_disable.html")


@require_POST
@role_required("operator")
def account_disable(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    services.account_disable(account=account, actor=actor(request))
    return web.done(request, _list_url(account), f"{account.username} was disabled.")


@require_safe
@role_required("operator")
def account_confirm_kick(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "roaming/accounts/confirm_kick.html")


@require_POST
@role_required("operator")
def account_kick(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    ended = services.account_kick(account=account, actor=actor(request))
    sessions = "1 session" if ended == 1 else f"{ended} sessions"
    return web.done(request, _list_url(account), f"{account.username} was kicked: {sessions} ended.")


@require_safe
@role_required("operator")
def account_confirm_delete(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "roaming/accounts/confirm_delete.html")


@require_POST
@role_required("operator")
def account_delete(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    url = _list_url(account)
    services.account_delete(account=account, actor=actor(request))
    return web.done(request, url, f"{account.username} was removed.")


def _confirm(request: HttpRequest, account_id: str, template: str) -> HttpResponse:
    """What an action would break: the live sessions, and the copies that stay."""
    account = account_or_404(account_id)
    live = selectors.live_sessions_by_account([account])[account.pk]
    copies = ClientAccount.objects.filter(origin=account.origin).exclude(pk=account.pk)
    context = {
        "account": account,
        "live": live,
        "copies": list(copies.select_related("instance")),
        "list_url": _list_url(account),
    }
    return render(request, template, context)
