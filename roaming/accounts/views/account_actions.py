"""Dialogs that enable, disable, kick and remove an account, by choice with its copies: the question, then the act."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from console.core.access import actor, acts, shows
from console.kit import web
from roaming.accounts import services
from roaming.accounts.models import ClientAccount
from roaming.accounts.selectors import account_or_404, copies_of
from roaming.accounts.views.accounts import list_url
from roaming.sessions.selectors import live_sessions_by_account

# Service and last words of what is done to an account, besides the kick.
ACTS: dict[str, tuple[Callable[..., object], str]] = {
    "enable": (services.account_enable, "was enabled"),
    "disable": (services.account_disable, "was disabled"),
    "delete": (services.account_delete, "was removed"),
}


@acts("operator")
def account_act(request: HttpRequest, account_id: str, act: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    service, said = ACTS[act]
    service(account=account, with_copies=bool(copies), actor=actor(request))
    return _done(request, account, f"{account.username} {said}{_also(copies)}.")


@acts("operator")
def account_kick(request: HttpRequest, account_id: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    ended = services.account_kick(account=account, with_copies=bool(copies), actor=actor(request))
    sessions = "1 session" if ended == 1 else f"{ended} sessions"
    return _done(request, account, f"{account.username} was kicked{_also(copies)}: {sessions} ended.")


def _chosen(request: HttpRequest, account_id: str) -> tuple[ClientAccount, list[ClientAccount]]:
    """Return the account, and its copies if the question's check box was ticked; otherwise no copy is touched."""
    account = account_or_404(account_id)
    return account, list(copies_of(account)) if request.POST.get("copies") else []


def _also(copies: Sequence[ClientAccount]) -> str:
    return f", also on {', '.join(copy.instance.name for copy in copies)}" if copies else ""


def _done(request: HttpRequest, account: ClientAccount, message: str) -> HttpResponse:
    return web.done(request, web.safe_next(request, list_url(account)), message)


@shows("operator")
def account_confirm(request: HttpRequest, account_id: str, act: str) -> HttpResponse:
    """Ask whether to ``act``, and name the live sessions that end: the account's, and those of included copies."""
    account = account_or_404(account_id)
    copies: list[Any] = list(copies_of(account))
    live = live_sessions_by_account([account, *copies])
    for copy in copies:
        copy.live = live[copy.pk]
    back = web.safe_next(request, list_url(account))
    return web.ask(
        request,
        "Remove" if act == "delete" else act.capitalize(),
        account.username,
        action=reverse(f"roaming:account_{act}", args=[account.pk]),
        back=back,
        next=back,
        template=f"roaming/accounts/confirm_{act}.html",
        account=account,
        live=live[account.pk],
        copies=copies,
    )
