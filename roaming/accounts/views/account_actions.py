"""Dialogs that enable, disable, kick and remove an account, by choice with its copies: the question, then the act."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from console.core.access import actor, role_required
from console.kit import web
from roaming.accounts import services
from roaming.accounts.models import ClientAccount
from roaming.accounts.selectors import account_or_404, copies_of
from roaming.accounts.views.accounts import list_url
from roaming.sessions.selectors import live_sessions_by_account


@require_safe
@role_required("operator")
def account_confirm_enable(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "enable")


@require_POST
@role_required("operator")
def account_enable(request: HttpRequest, account_id: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    services.account_enable(account=account, with_copies=bool(copies), actor=actor(request))
    return _done(request, account, f"{account.username} was enabled{_also(copies)}.")


@require_safe
@role_required("operator")
def account_confirm_disable(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "disable")


@require_POST
@role_required("operator")
def account_disable(request: HttpRequest, account_id: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    services.account_disable(account=account, with_copies=bool(copies), actor=actor(request))
    return _done(request, account, f"{account.username} was disabled{_also(copies)}.")


@require_safe
@role_required("operator")
def account_confirm_kick(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "kick")


@require_POST
@role_required("operator")
def account_kick(request: HttpRequest, account_id: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    ended = services.account_kick(account=account, with_copies=bool(copies), actor=actor(request))
    sessions = "1 session" if ended == 1 else f"{ended} sessions"
    return _done(request, account, f"{account.username} was kicked{_also(copies)}: {sessions} ended.")


@require_safe
@role_required("operator")
def account_confirm_delete(request: HttpRequest, account_id: str) -> HttpResponse:
    return _confirm(request, account_id, "delete")


@require_POST
@role_required("operator")
def account_delete(request: HttpRequest, account_id: str) -> HttpResponse:
    account, copies = _chosen(request, account_id)
    services.account_delete(account=account, with_copies=bool(copies), actor=actor(request))
    return _done(request, account, f"{account.username} was removed{_also(copies)}.")


def _chosen(request: HttpRequest, account_id: str) -> tuple[ClientAccount, list[ClientAccount]]:
    """Return the account, and its copies if the question's check box was ticked; otherwise no copy is touched."""
    account = account_or_404(account_id)
    return account, list(copies_of(account)) if request.POST.get("copies") else []


def _also(copies: Sequence[ClientAccount]) -> str:
    return f", also on {', '.join(copy.instance.name for copy in copies)}" if copies else ""


def _done(request: HttpRequest, account: ClientAccount, message: str) -> HttpResponse:
    return web.done(request, web.safe_next(request, list_url(account)), message)


def _confirm(request: HttpRequest, account_id: str, act: str) -> HttpResponse:
    """Ask whether to ``act``, and name the live sessions that end: the account's, and those of included copies."""
    account = account_or_404(account_id)
    copies: list[Any] = list(copies_of(account))
    live = live_sessions_by_account([account, *copies])
    for copy in copies:
        copy.live = live[copy.pk]
    back = web.safe_next(request, list_url(account))
    context = {"account": account, "live": live[account.pk], "copies": copies, "list_url": back}
    return render(request, f"roaming/accounts/confirm_{act}.html", context)
