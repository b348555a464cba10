"""Writes to servers of connectors by people, and the worker's job that ends drains."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from connectors.fleet.models.connectors import Server
from connectors.fleet.models.upgrades import ServerUpgrade
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict
from console.machines import config
from console.machines.models.machines import SILENT_AFTER
from console.machines.upgrades import check_drain
from console.models import Cutover, MachineKey

DRAIN = "server.drain"


def name_of(server_id: str) -> str | None:
    """Return what people call a server, None for an unknown id."""
    server = Server.objects.filter(pk=server_id).first()
    return None if server is None else str(server)


@transaction.atomic
def server_switch(*, server: Server, enabled: bool, actor: Actor) -> Server:
    """Let a server carry new flows again, or take it out: gateways close its tunnels then.

    Raise ``Conflict`` when the server is so already.
    """
    word = "enabled" if enabled else "disabled"
    verb = "server.enable" if enabled else "server.disable"
    # Enabling a draining server, which is enabled still, means to let new flows to it again.
    open_to_it = Server.objects.filter(pk=server.pk, enabled=not enabled)
    if enabled:
        open_to_it |= Server.objects.filter(pk=server.pk, drain_until__isnull=False)
    before = server.state
    if not open_to_it.update(enabled=enabled, drain_since=None, drain_until=None):
        raise Conflict(f"{server} is already {word}.", code="ServerAlreadySwitched")
    server.enabled, server.drain_since, server.drain_until = enabled, None, None
    audit.record(
        actor=actor, verb=verb, target=server, before={"state": before}, after={"state": server.state}
    )
    config.publish(servers=True, cut=None if enabled else f"{verb} {server}"[:200], target=server.pk)
    return server


@transaction.atomic
def server_drain(*, server: Server, within: timedelta, actor: Actor) -> Server:
    """Give a server no new flows; the worker switches it off when its flows are gone, or after ``within``.

    Raise ``Invalid`` for an illegal time, ``Conflict`` for a server that drains already or is disabled.
    """
    check_drain(within)
    now = timezone.now()
    free = Server.objects.filter(pk=server.pk, enabled=True, drain_until=None)
    # Forget how many flows the server reported: only a count from after this moment ends the drain.
    if not free.update(drain_since=now, drain_until=now + within, open_flows=None):
        server.refresh_from_db()
        raise Conflict(f"{server} is {server.state} already.", code="ServerAlreadySwitched")
    server.drain_since, server.drain_until = now, now + within
    audit.record(
        actor=actor,
        verb=DRAIN,
        target=server,
        before={"state": "enabled"},
        after={"state": "draining", "until": server.drain_until.isoformat(timespec="seconds")},
    )
    # This cut-over cuts nothing: with it the gateways confirm that they give the server no new flows.
    config.publish(servers=True, cut=f"{DRAIN} {server}"[:200], target=server.pk)
    return server


def drains_finish() -> int:
    """Switch off draining servers whose flows are gone or whose time is over; return how many. For the worker."""
    now = timezone.now()
    done = 0
    draining = Server.objects.filter(drain_until__isnull=False, enabled=True)
    # Leave servers that drain for an upgrade, which are to come back: services.upgrades ends such a drain.
    for server in draining.exclude(upgrades__state__in=ServerUpgrade.ACTIVE):
        if is_drained(server, now):
            try:
                server_switch(server=server, enabled=False, actor=audit.System("worker"))
                done += 1
            except Conflict:  # somebody switched the server meanwhile
                continue
    return done


def is_drained(server: Server, now: datetime | None = None) -> bool:
    """Tell whether a draining server's time is over, or its flows are gone."""
    over = server.drain_until is not None and server.drain_until <= (now or timezone.now())
    return over or _is_empty(server)


def _is_empty(server: Server) -> bool:
    """Tell whether the server reported no flows after every gateway heard of had stopped giving it new ones."""
    if server.open_flows != 0 or not server.is_heard or server.heard_at is None:
        return False
    cutover = Cutover.objects.filter(target=server.pk, reason__startswith=DRAIN).first()
    if cutover is None:
        return False
    confirmations = cutover.confirmations.filter(gateway__heard_at__gt=timezone.now() - SILENT_AFTER)
    times = list(confirmations.values_list("confirmed_at", flat=True))
    return all(time is not None and time < server.heard_at for time in times)


@transaction.atomic
def server_remove(*, server: Server, actor: Actor) -> None:
    """Forget a server, its key and its measurements; from now on its calls and tunnels are refused."""
    before = {
        "connector": server.connector_id,
        "hostname": server.hostname,
        "endpoint_ip": server.endpoint_ip,
    }
    audit.record(actor=actor, verb="server.remove", target=server, before=before)
    MachineKey.objects.filter(pk=server.pk).delete()
    config.publish(cut=f"server.remove {server}"[:200], target=server.pk)
    Server.objects.filter(pk=server.pk).delete()
