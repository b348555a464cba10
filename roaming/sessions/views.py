"""Pages of live sessions, and of who is kept from opening one."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from console.core import log_ins
from console.core.access import actor, acts, shows
from console.kit import tables, web
from roaming.instances.selectors import instance_or_404
from roaming.sessions import lockout, selectors, services
from roaming.sessions.models import LogonFailures, UserSession
from roaming.usage.selectors import session_traffic

TABLE = tables.Table(
    columns=(
        tables.Column("account", "User name", ("username",)),
        tables.Column("client_ip", "Client IP", ("client_ip",)),
        tables.Column("public_address", "Public address", ("public_address",)),
        tables.Column("gateway", "Gateway", ("gateway__name",)),
        tables.Column("kind", "Client", ("kind",)),
        tables.Column("since", "Since", ("created_at",)),
        tables.Column("until", "Until", ("expires_at",)),
        tables.Column("flows", "Flows", align="end"),
        tables.Column("up", "Sent", align="end"),
        tables.Column("down", "Received", align="end"),
        tables.Column("actions", "Actions"),
    ),
    row_template="roaming/sessions/_row.html",
    search=("username", "id", "public_address"),
    search_label="Search by user, session or address",
    default_sort="-since",
    label="Online sessions",
    empty="Nobody is logged on",
    empty_hint="A session appears here when a client logs on with this instance's ID.",
    live_seconds=5,
    csv=(
        ("username", "username"),
        ("session", "pk"),
        ("client_ip", "client_ip"),
        ("public_address", "public_address"),
        ("gateway", "gateway.name"),
        ("client", "get_kind_display"),
        ("since", "created_at"),
        ("until", "expires_at"),
        ("flows", "flows"),
        ("bytes_sent", "bytes_up"),
        ("bytes_received", "bytes_down"),
    ),
)

LOCK_OUTS = tables.Table(
    columns=(
        tables.Column("account", "Client account", ("account__username",)),
        tables.Column("address", "Public address", ("address",)),
        tables.Column("kind", "State", ("kind",)),
        tables.Column("until", "Until", ("until",)),
        tables.Column("actions", "Actions"),
    ),
    row_template="roaming/sessions/_lock_out_row.html",
    search=("account__username", "address"),
    search_label="Search by user name or address",
    default_sort="-until",
    label="Lock-outs",
    empty="Nobody is locked out",
    empty_hint="Whoever logs on with wrong passwords too often appears here until the lock-out ends.",
    live_seconds=5,
    csv=(
        ("account", "account.username"),
        ("account_id", "account_id"),
        ("instance", "account.instance_id"),
        ("public_address", "address"),
        ("state", "get_kind_display"),
        ("until", "until"),
    ),
)


@shows("viewer")
def session_list(request: HttpRequest, instance_id: str) -> HttpResponseBase:
    instance = instance_or_404(instance_id)
    page = TABLE.page(request, selectors.live_sessions_of(instance), _with_traffic)
    context = {"instance": instance, "tab": "sessions"}
    return tables.render(request, "roaming/sessions/list.html", page, context, of=instance)


def _with_traffic(sessions: list[Any]) -> None:
    traffic = session_traffic(sessions)
    for session in sessions:
        session.flows, session.bytes_up, session.bytes_down = traffic[session.pk]


@shows("operator")
def session_confirm_kick(request: HttpRequest, session_id: str) -> HttpResponse:
    session = get_object_or_404(UserSession.objects.select_related("gateway"), pk=session_id)
    return web.ask(
        request,
        "Kick",
        session.username,
        action=reverse("roaming:session_kick", args=[session.pk]),
        back=reverse("roaming:sessions", args=[session.instance_id]),
        template="roaming/sessions/confirm_kick.html",
        session=session,
    )


@acts("operator")
def session_kick(request: HttpRequest, session_id: str) -> HttpResponse:
    session = get_object_or_404(UserSession, pk=session_id)
    services.session_end(session=session, actor=actor(request))
    url = reverse("roaming:sessions", args=[session.instance_id])
    return web.done(request, url, f"The session of {session.username} was ended.")


@shows("viewer")
def lock_out_list(request: HttpRequest) -> HttpResponseBase:
    page = LOCK_OUTS.page(request, selectors.lock_outs())
    context = {"lock_outs": log_ins.lock_outs()}
    return tables.render(request, "roaming/sessions/lock_outs.html", page, context)


@acts("operator")
def lock_out_lift(request: HttpRequest, lock_out_id: str) -> HttpResponse:
    row = get_object_or_404(LogonFailures.objects.select_related("account"), pk=lock_out_id)
    lockout.lockout_lift(row=row, actor=actor(request))
    return web.done(request, reverse("roaming:lock_outs"), f"The lock-out of {row} was lifted.")
