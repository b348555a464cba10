"""Servers of connectors: every write by people, and the end of a drain."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from connectors.models import Server, ServerUpgrade
from console import audit, config
from console.audit import Actor
from console.errors import Conflict, Invalid
from console.models import Cutover, MachineKey
from console.models.machines import SILENT_AFTER

DRAIN = "server.drain"
LONGEST_DRAIN = timedelta(hours=24)


def name_of(server_id: str) -> str | None:
    """What people call a server; None for one that is not known."""
    server = Server.objects.filter(pk=server_id).first()
    return None if server is None else str(server)


def _switch(server: Server, *, enabled: bool, actor: Actor) -> Server:
    word = "enabled" if enabled else "disabled"
    verb = "server.enable" if enabled else "server.disable"
    # A server that drains is enabled still, and «enable» then means: let new flows to it again.
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
def server_enable(*, server: Server, actor: Actor) -> Server:
    """Let a server carry new flows again. Raises ``Conflict`` when it may already."""
    return _switch(server, enabled=True, actor=actor)


@transaction.atomic
def server_disable(*, server: Server, actor: Actor) -> Server:
    """Take a server out: gateways close its tunnels. Raises ``Conflict`` when it is out already."""
    return _switch(server, enabled=False, actor=actor)


@transaction.atomic
def server_drain(*, server: Server, within: timedelta, actor: Actor) -> Server:
    """Give a server no new flows; switch it off when its flows are gone, or after ``within`` at the latest.

    Raises ``Invalid`` for a time that is not legal, ``Conflict`` when it drains already or is disabled.
    """
    if not timedelta(minutes=1) <= within <= LONGEST_DRAIN:
        raise Invalid("Minutes must be a whole number from 1 to 1,440.", field="minutes")
    now = timezone.now()
    free = Server.objects.filter(pk=server.pk, enabled=True, drain_until=None)
    # What it carries is asked anew: an earlier word does not count.
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
    # Nothing is cut; the cut-over is how the gateways confirm that they give it no new flows.
    config.publish(servers=True, cut=f"{DRAIN} {server}"[:200], target=server.pk)
    return server


def drains_finish() -> int:
    """Switch off the draining servers whose flows are gone or whose time has passed; how many. For the worker."""
    now = timezone.now()
    done = 0
    draining = Server.objects.filter(drain_until__isnull=False, enabled=True)
    # One that drains for its upgrade is to come back: see services.upgrades.
    for server in draining.exclude(upgrades__state__in=ServerUpgrade.ACTIVE):
        if is_drained(server, now):
            try:
                server_disable(server=server, actor=audit.System("worker"))
                done += 1
            except Conflict:  # somebody was quicker
                continue
    return done


def is_drained(server: Server, now: datetime | None = None) -> bool:
    """Whether a draining server's time is over, or its flows are gone."""
    over = server.drain_until is not None and server.drain_until <= (now or timezone.now())
    return over or _is_empty(server)


def _is_empty(server: Server) -> bool:
    """Whether it said so itself, after every gateway that is heard of had stopped giving it new flows."""
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
    """Forget a server and its key: its calls and tunnels are refused from now on, its measurements are gone."""
    before = {
        "connector": server.connector_id,
        "hostname": server.hostname,
        "endpoint_ip": server.endpoint_ip,
    }
    audit.record(actor=actor, verb="server.remove", target=server, before=before)
    MachineKey.objects.filter(pk=server.pk).delete()
    config.publish(cut=f"server.remove {server}"[:200], target=server.pk)
    Server.objects.filter(pk=server.pk).delete()
