"""Tab Deploy Server of the Details panel, and pages of one server: switch, drain, remove."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from connectors.fleet import services
from connectors.fleet.forms import DrainForm
from connectors.fleet.lights import ServerStatus, server_statuses
from connectors.fleet.models.connectors import Connector, Server
from connectors.fleet.models.upgrades import ServerUpgrade
from connectors.fleet.services.upgrades import SERVERS
from connectors.telemetry import selectors as telemetry
from connectors.telemetry import store
from console.core.access import actor, acts, shows, takes_form
from console.exchange import writing
from console.kit import web
from console.machines import config

COLUMNS = (
    "hostname",
    "id",
    "address",
    "version",
    "switch",
    "status",
    "tunnels",
    "configuration",
    "destinations",
    "last_heard",
    "enrolled",
)


@shows("viewer")
@web.with_charts
def connector_servers(request: HttpRequest, connector_id: str) -> HttpResponseBase:
    """Show the tab Deploy Server; for htmx aimed at the list of servers, the list alone."""
    connector = get_object_or_404(Connector, pk=connector_id)
    if request.GET.get("format") == "csv":
        rows = map(_line, server_statuses(connector, config.current()))
        return writing.download(request, f"{connector.pk}-servers.csv", COLUMNS, rows, of=connector)
    shown = telemetry.chosen(request.GET)
    statuses = server_statuses(connector, config.current(), shown["window"])
    words = telemetry.servers_words([status.server for status in statuses], shown["window"], shown["kind"])
    versions = [status.server.version for status in statuses]
    upgrade = SERVERS.shown({connector.pk: versions})[connector.pk]
    active = {step.server_id for step in upgrade["steps"] if step.is_active}
    context = {
        "connector": connector,
        "tab": "servers",
        "upgrading": active,
        **upgrade,
        "rows": [(status, store.rate_of(status.server), words[status.server.pk]) for status in statuses],
        **shown,
        "known": len(statuses),
    }
    return render(request, "connectors/servers.html", context)


def _line(status: ServerStatus) -> tuple[Any, ...]:
    """Return a server as its line of the file has it."""
    server = status.server
    return (
        server.hostname,
        server.pk,
        server.endpoint_ip,
        server.version,
        "Enabled" if server.enabled else "Disabled",
        status.process.word,
        [f"{light.of}: {light.word}" for light in status.tunnels],
        status.configuration.word,
        status.destinations.word,
        server.heard_at,
        server.enrolled_at,
    )


@shows("viewer")
def connector_servers_known(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Tell an open tab whether there are other servers than it shows: nothing, or a line that says so."""
    connector = get_object_or_404(Connector, pk=connector_id)
    count = connector.servers.count()
    if str(count) == request.GET.get("known"):
        return HttpResponse(status=204)
    return render(request, "connectors/_servers_known.html", {"connector": connector, "known": count})


@shows("viewer")
def server_state(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    """Show one server's lights and figures; the page fetches them anew while somebody looks."""
    connector = get_object_or_404(Connector, pk=connector_id)
    statuses = server_statuses(connector, config.current())
    status = next((status for status in statuses if status.server.pk == server_id), None)
    if status is None:
        # Status 286 stops the polling: a server removed meanwhile is not asked for again.
        return HttpResponse(status=286)
    active = ServerUpgrade.objects.filter(server=server_id, state__in=ServerUpgrade.ACTIVE)
    context = {
        "status": status,
        "rate": store.rate_of(status.server),
        "connector": connector,
        "upgrading": set(active.values_list("server_id", flat=True)),
    }
    return render(request, "connectors/_server_state.html", context)


def _server(connector_id: str, server_id: str) -> Server:
    servers = Server.objects.select_related("connector").filter(connector=connector_id)
    return get_object_or_404(servers, pk=server_id)


def _servers_url(connector_id: str) -> str:
    return reverse("connectors:servers", args=[connector_id])


@acts("operator")
def server_switch(request: HttpRequest, connector_id: str, server_id: str, enabled: bool) -> HttpResponse:
    server, url = _server(connector_id, server_id), _servers_url(connector_id)
    services.server_switch(server=server, enabled=enabled, actor=actor(request))
    if enabled:
        return web.done(request, url, f"{server} is enabled.", into="panel")
    return web.done(request, url, f"{server} is disabled: its tunnels close.")


@shows("operator")
def server_confirm_disable(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = _server(connector_id, server_id)
    return web.ask(
        request,
        "Disable",
        server,
        action=reverse("connectors:server_disable", args=[connector_id, server_id]),
        back=_servers_url(connector_id),
        consequence="The server's tunnels close, and open connections through the server are cut. "
        f"New connections go through the other servers of {server.connector}, if there are any.",
    )


@takes_form("operator")
def server_drain(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    """Drain a server: no new flows go to it, and the worker switches it off when its flows are gone or time is up."""
    server = _server(connector_id, server_id)
    form = DrainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        within = timedelta(minutes=form.cleaned_data["minutes"])
        with web.refusals_in(form):
            services.server_drain(server=server, within=within, actor=actor(request))
            message = f"{server} drains: it is given no new connections."
            return web.done(request, _servers_url(connector_id), message)
    others = server.connector.servers.filter(enabled=True, drain_until=None).exclude(pk=server.pk)
    context = {"form": form, "server": server, "others": list(others)}
    return web.form_page(request, "connectors/drain.html", context)


@shows("operator")
def server_confirm_remove(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = _server(connector_id, server_id)
    return web.ask(
        request,
        "Remove",
        server,
        action=reverse("connectors:server_remove", args=[connector_id, server_id]),
        back=_servers_url(connector_id),
        template="connectors/confirm_remove_server.html",
        server=server,
    )


@acts("operator")
def server_remove(request: HttpRequest, connector_id: str, server_id: str) -> HttpResponse:
    server = _server(connector_id, server_id)
    services.server_remove(server=server, actor=actor(request))
    return web.done(request, _servers_url(connector_id), f"{server} was removed.")
