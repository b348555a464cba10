"""Pages of client accounts."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from console import tables, web
from console.access import actor, role_required
from console.errors import Refusal
from roaming import mail, selectors
from roaming.forms import AccountEditForm, AccountForm, PasswordForm
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
        tables.Column("online", "Online", align="end"),
        tables.Column("traffic", "This month", align="end"),
        tables.Column("roaming", "Roaming"),
        tables.Column("logon", "Last log-on", ("last_logon_at",)),
        tables.Column("actions", "Actions", width="m"),
    ),
    row_template="roaming/accounts/_row.html",
    find=selectors.accounts_matching,
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
    large=True,
)


def account_or_404(account_id: str) -> ClientAccount:
    """With its instance, region and area."""
    return get_object_or_404(ClientAccount.objects.select_related("instance__region__area"), pk=account_id)


def list_url(account: ClientAccount) -> str:
    return reverse("roaming:accounts", args=[account.instance_id])


@require_safe
@role_required("viewer")
def account_list(request: HttpRequest, instance_id: str) -> HttpResponse:
    # Without its counts: the list counts anyway.
    instance = get_object_or_404(Instance.objects.select_related("region__area"), pk=instance_id)
    rows = selectors.accounts_of(instance)
    page = TABLE.page(request, rows)
    live = selectors.live_sessions_by_account(page.rows)
    for account in page.rows:
        account.live = live[account.pk]
    full = not page.narrowed and page.total >= instance.account_quota
    context = {
        "instance": instance,
        "tab": "accounts",
        "full": full,
        "export_url": reverse("roaming:account_export", args=[instance.pk]),
        "selection_template": "roaming/accounts/_selection.html",
        "selection_query": page.url().partition("?")[2],
    }
    return tables.render(request, "roaming/accounts/list.html", page, context)


@require_safe
@role_required("viewer")
def account_menu(request: HttpRequest, account_id: str) -> HttpResponse:
    """What can be done with an account: the list's menu, or without a script a page of the same links."""
    account = account_or_404(account_id)
    alone = web.htmx_target(request) == "row-menu"
    template = "roaming/accounts/_menu.html" if alone else "roaming/accounts/menu.html"
    live = selectors.live_sessions_by_account([account])[account.pk]
    return render(request, template, {"account": account, "live": live, "list_url": list_url(account)})


@sensitive_post_parameters("password")
@sensitive_variables("password", "context")
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
            told = mail.credentials([account], password or form.cleaned_data["password"])
            if password is None:
                return _mailed(request, account, f"{account.username} was added.", told)
            context = {"account": account, "accounts": [account], "password": password, "mailing": told}
            return _shown_once(request, "roaming/accounts/added.html", context)
    return web.form_page(request, "roaming/accounts/add.html", {"form": form, "instance": instance})


@require_http_methods(["GET", "POST"])
@role_required("operator")
def account_edit(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    present = {"email": account.email, "bandwidth_kbps": account.bandwidth_kbps}
    form = AccountEditForm(request.POST or None, initial=present)
    if request.method == "POST" and form.is_valid():
        try:
            services.account_update(account=account, **form.cleaned_data, actor=actor(request))
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            return web.done(request, list_url(account), f"{account.username} was changed.")
    context = {"form": form, "account": account, "list_url": list_url(account)}
    return web.form_page(request, "roaming/accounts/edit.html", context)


@sensitive_post_parameters("password")
@sensitive_variables("password", "context")
@require_http_methods(["GET", "POST"])
@role_required("operator")
def account_reset_password(request: HttpRequest, account_id: str) -> HttpResponse:
    """A random password is shown in the answer to the POST and nowhere else; either kind is mailed."""
    account = account_or_404(account_id)
    form = PasswordForm(request.POST or None)
    copies = list(selectors.copies_of(account))
    if request.method == "POST" and form.is_valid():
        try:
            password = services.account_reset_password(
                account=account, password=form.cleaned_data["password"], actor=actor(request)
            )
        except Refusal as refusal:
            web.form_refused(form, refusal)
        else:
            together = [account, *copies]
            told = mail.credentials(together, password or form.cleaned_data["password"], reset=True)
            if password is None:
                return _mailed(request, account, f"The password of {account.username} was reset.", told)
            context = {"account": account, "accounts": together, "password": password, "mailing": told}
            return _shown_once(request, "roaming/accounts/password_reset.html", context)
    live = selectors.live_sessions_by_account([account, *copies])
    context = {
        "form": form,
        "account": account,
        "copies": copies,
        "live": sum(map(len, live.values())),
        "list_url": list_url(account),
    }
    return web.form_page(request, "roaming/accounts/reset_password.html", context)


def _mailed(request: HttpRequest, account: ClientAccount, message: str, told: mail.Mailing) -> HttpResponse:
    """Back to the list with what was done, and with what became of the mail."""
    if told.problem:
        messages.warning(request, told.problem)
        return web.done(request, list_url(account), message)
    return web.done(request, list_url(account), f"{message} {told.words}".strip())


def _shown_once(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, {**context, "list_url": list_url(context["account"])})
    add_never_cache_headers(response)
    return response
