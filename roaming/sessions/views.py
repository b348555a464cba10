"""Pages of live sessions."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from console.core.access import actor, role_required
from console.kit import tables, web
from roaming.instances.selectors import instance_or_404
from roaming.sessions import selectors, services
from roaming.sessions.models import UserSession
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
)


@require_safe
@role_required("viewer")
def session_list(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    page = TABLE.page(request, selectors.live_sessions_of(instance))
    traffic = session_traffic(page.rows)
    for session in page.rows:
        session.flows, session.bytes_up, session.bytes_down = traffic[session.pk]
    return tables.render(
        request, "roaming/sessions/list.html", page, {"instance": instance, "tab": "sessions"}
    )


@require_safe
@role_required("operator")
def session_confirm_kick(request: HttpRequest, session_id: str) -> HttpResponse:
    session = get_object_or_404(UserSession.objects.select_related("gateway"), pk=session_id)
    return render(request, "roaming/sessions/confirm_kick.html", {"session": session})


@require_POST
@role_required("operator")
def session_kick(request: HttpRequest, session_id: str) -> HttpResponse:
    session = get_object_or_404(UserSession, pk=session_id)
    services.session_end(session=session, actor=actor(request))
    url = reverse("roaming:sessions", args=[session.instance_id])
    return web.done(request, url, f"The session of {session.username} was ended.")
