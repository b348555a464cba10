"""Pages of client accounts: the list, its menu, and the forms that add, edit and reset."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from console.core.access import actor, shows, takes_form
from console.kit import tables, web
from roaming.accounts import mail, services
from roaming.accounts.forms import AccountEditForm, AccountForm, PasswordForm
from roaming.accounts.models import ClientAccount
from roaming.accounts.selectors import account_or_404, accounts_of, copies_of
from roaming.accounts.tables import TABLE
from roaming.instances.selectors import instance_alone_or_404, instance_or_404
from roaming.sessions.selectors import live_sessions_by_account


def list_url(account: ClientAccount) -> str:
    return reverse("roaming:accounts", args=[account.instance_id])


@shows("viewer")
def account_list(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    # Counts of the instance are left out, because the list counts anyway.
    instance = instance_alone_or_404(instance_id)
    page = TABLE.page(request, accounts_of(instance))
    live = live_sessions_by_account(page.rows)
    for account in page.rows:
        account.live = live[account.pk]
    full = not page.narrowed and page.total >= instance.account_quota
    context = {
        "instance": instance,
        "tab": "accounts",
        "full": full,
        "selection_template": "roaming/accounts/_selection.html",
        "selection_query": page.url().partition("?")[2],
    }
    return tables.render(request, "roaming/accounts/list.html", page, context, of=instance)


@shows("viewer")
def account_menu(request: HttpRequest, account_id: str) -> HttpResponse:
    """Show the actions of an account: as the list's menu, or without a script as a page of the same links."""
    account = account_or_404(account_id)
    alone = web.htmx_target(request) == "row-menu"
    template = "roaming/accounts/_menu.html" if alone else "roaming/accounts/menu.html"
    live = live_sessions_by_account([account])[account.pk]
    return render(request, template, {"account": account, "live": live, "list_url": list_url(account)})


@sensitive_post_parameters("password")
@sensitive_variables("password", "context")
@takes_form("operator")
def account_add(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Add a client account; a generated password is shown in the answer to the POST and nowhere else."""
    instance = instance_or_404(instance_id)
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            account, password = services.account_create(
                instance=instance, **form.cleaned_data, actor=actor(request)
            )
            told = mail.credentials([account], password or form.cleaned_data["password"])
            if password is None:
                return _mailed(request, account, f"{account.username} was added.", told)
            context = {"account": account, "accounts": [account], "password": password, "mailing": told}
            return _shown_once(request, "roaming/accounts/added.html", context)
    return web.form_page(request, "roaming/accounts/add.html", {"form": form, "instance": instance})


@takes_form("operator")
def account_edit(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    present = {"email": account.email, "bandwidth_kbps": account.bandwidth_kbps}
    form = AccountEditForm(request.POST or None, initial=present)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.account_update(account=account, **form.cleaned_data, actor=actor(request))
            return web.done(request, list_url(account), f"{account.username} was changed.")
    context = {"form": form, "account": account, "list_url": list_url(account)}
    return web.form_page(request, "roaming/accounts/edit.html", context)


@sensitive_post_parameters("password")
@sensitive_variables("password", "context")
@takes_form("operator")
def account_reset_password(request: HttpRequest, account_id: str) -> HttpResponse:
    """Reset a password and mail it; a random one is shown in the answer to the POST and nowhere else."""
    account = account_or_404(account_id)
    form = PasswordForm(request.POST or None)
    copies = list(copies_of(account))
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            password = services.account_reset_password(
                account=account, password=form.cleaned_data["password"], actor=actor(request)
            )
            together = [account, *copies]
            told = mail.credentials(together, password or form.cleaned_data["password"], reset=True)
            if password is None:
                return _mailed(request, account, f"The password of {account.username} was reset.", told)
            context = {"account": account, "accounts": together, "password": password, "mailing": told}
            return _shown_once(request, "roaming/accounts/password_reset.html", context)
    live = live_sessions_by_account([account, *copies])
    context = {
        "form": form,
        "account": account,
        "copies": copies,
        "live": sum(map(len, live.values())),
        "list_url": list_url(account),
    }
    return web.form_page(request, "roaming/accounts/reset_password.html", context)


def _mailed(request: HttpRequest, account: ClientAccount, message: str, told: mail.Mailing) -> HttpResponse:
    """Go back to the list with ``message`` and with what became of the mail; a failed mail becomes a warning."""
    if told.problem:
        messages.warning(request, told.problem)
        return web.done(request, list_url(account), message)
    return web.done(request, list_url(account), f"{message} {told.words}".strip())


def _shown_once(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, {**context, "list_url": list_url(context["account"])})
    add_never_cache_headers(response)
    return response
