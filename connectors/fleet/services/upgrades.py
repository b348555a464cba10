"""Upgrades from the console: people ask for and cancel them, servers report on them, the worker drives them.

One server at a time drains, installs and switches its version, passes the health gate and carries flows again. A
machine goes back by itself when its new version does not become healthy (``edge.machine.upgrade``); the first server
that fails stops the rest.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from connectors.fleet import health
from connectors.fleet.models.connectors import Connector, Server
from connectors.fleet.models.upgrades import ServerUpgrade, Upgrade
from connectors.fleet.services.servers import (
    LONGEST_DRAIN,
    MINUTES_SENTENCE,
    is_drained,
    server_drain,
    server_enable,
)
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict, Invalid
from console.core.saving import save
from console.machines import config, wheels

State = ServerUpgrade.State
WORKER = audit.System("worker")
# Longest time in which a machine fetches, installs and switches; after it the step has failed.
INSTALL_LIMIT = timedelta(minutes=15)


def check_limit() -> timedelta:
    """Return how long a server may be checked: the new version's time, the old one's after a way back, and a minute."""
    return timedelta(seconds=2 * settings.UPGRADE_HEALTH_SECONDS + 60)


@transaction.atomic
def upgrade_start(*, connector: Connector, in_window: bool, drain: timedelta, actor: Actor) -> Upgrade:
    """Bring every server of a connector to the console's version, now or within the connector's upgrade window.

    ``drain``: how long a server's connections may go on. Raise ``Invalid`` (fields ``when``, ``minutes``) and
    ``Conflict`` when there is no wheel, nothing to upgrade, or an upgrade under way.
    """
    if not timedelta(minutes=1) <= drain <= LONGEST_DRAIN:
        raise Invalid(MINUTES_SENTENCE, field="minutes")
    if in_window and connector.upgrade_start is None:
        sentence = f"{connector} has no upgrade window: set one, or choose “now”."
        raise Invalid(sentence, field="when")
    wheel = wheels.newest_wheel()
    if wheel is None:
        raise Conflict(wheels.NO_WHEEL, code="NoWheel")
    servers = [server for server in connector.servers.all() if server.version != wheel.version]
    if not servers:
        raise Conflict(
            f"There is no server with another version than {wheel.version}.", code="NoServerBehind"
        )
    run = save(
        Upgrade(
            connector=connector,
            version=wheel.version[:40],
            wheel=wheel.name[:200],
            sha256=wheel.sha256,
            in_window=in_window,
            drain_seconds=int(drain.total_seconds()),
            started_by=str(actor)[:150],
        )
    )
    ServerUpgrade.objects.bulk_create(
        ServerUpgrade(upgrade=run, server=server, position=position, version_before=server.version)
        for position, server in enumerate(servers)
    )
    after = {"version": run.version, "servers": len(servers), "in_window": in_window}
    audit.record(actor=actor, verb="connector.upgrade", target=connector, after=after)
    return run


@transaction.atomic
def upgrade_cancel(*, upgrade: Upgrade, actor: Actor) -> Upgrade:
    """Begin no other server; a server that still drains goes on serving, one that installs is finished first.

    Raise ``Conflict`` when the upgrade is over or was cancelled before.
    """
    run = _locked(upgrade.pk)
    if not run.is_open or run.cancelled_by:
        raise Conflict("This upgrade is over or was cancelled already.", code="UpgradeOver")
    run.cancelled_by = str(actor)[:150]
    save(run, "cancelled_by")
    audit.record(
        actor=actor, verb="connector.upgrade_cancel", target=run.connector, after={"version": run.version}
    )
    _advance(run)
    return run


@transaction.atomic
def upgrade_told(*, server: Server, order: str, state: str, message: str) -> None:
    """Note what a machine reports on the step it was ordered; a report on a step that is over changes nothing."""
    step = ServerUpgrade.objects.filter(server=server, upgrade=order, state__in=ServerUpgrade.ACTIVE).first()
    if step is None:
        return
    run = _locked(step.upgrade_id)
    step.refresh_from_db()
    if not step.is_active:
        return
    step.told, step.message = state, message[:500]
    step.save(update_fields=["told", "message"])
    _advance(run)


def upgrades_advance() -> int:
    """Take every open upgrade as far as it can go now; return how many changed. For the worker."""
    changed = 0
    for pk in Upgrade.objects.filter(state__in=Upgrade.OPEN).values_list("pk", flat=True):
        with transaction.atomic():
            changed += _advance(_locked(pk))
    return changed


def _locked(pk: str) -> Upgrade:
    """Read an upgrade and lock its row: nobody else changes it until the end of the transaction."""
    return Upgrade.objects.select_for_update(of=("self",)).select_related("connector").get(pk=pk)


def _advance(run: Upgrade) -> bool:
    """Take an upgrade one step further; return whether anything changed."""
    if not run.is_open:
        return False
    steps = list(run.steps.select_related("server__connector"))
    active = next((step for step in steps if step.is_active), None)
    if active is not None:
        return {State.DRAINING: _drained, State.INSTALLING: _installed, State.CHECKING: _checked}[
            State(active.state)
        ](run, active)
    waiting = [step for step in steps if step.state == State.WAITING]
    bad = next((step for step in steps if step.state in ServerUpgrade.BAD), None)
    if bad is not None:
        return _end(run, Upgrade.State.FAILED, waiting, f"Not begun, because {bad.server} failed.")
    if run.cancelled_by:
        return _end(run, Upgrade.State.CANCELLED, waiting, f"Not begun: {run.cancelled_by} cancelled.")
    if not waiting:
        return _end(run, Upgrade.State.DONE, [], "")
    if run.in_window and not run.connector.in_upgrade_window(timezone.now()):
        return False
    _begin(run, waiting[0])
    return True


def _end(run: Upgrade, state: Upgrade.State, left: list[ServerUpgrade], sentence: str) -> bool:
    for step in left:
        _move(step, State.SKIPPED, sentence)
    run.state, run.finished_at = state, timezone.now()
    save(run, "state", "finished_at")
    audit.record(
        actor=WORKER,
        verb="connector.upgrade_end",
        target=run.connector,
        after={"version": run.version, "state": state.value},
    )
    return True


def _move(step: ServerUpgrade, state: ServerUpgrade.State, message: str = "") -> bool:
    step.state, step.message, step.changed_at = state, message[:500], timezone.now()
    if state in ServerUpgrade.OVER:
        step.finished_at = step.changed_at
    step.save(update_fields=["state", "message", "changed_at", "finished_at", "started_at", "reds"])
    if state in ServerUpgrade.OVER and state != State.SKIPPED:
        after = {"state": state.value, "version": step.upgrade.version, "message": step.message}
        audit.record(actor=WORKER, verb="server.upgrade", target=step.server, after=after)
    return True


def _begin(run: Upgrade, step: ServerUpgrade) -> None:
    """Drain the next server, or note why it is passed over."""
    server = step.server
    if run.state != Upgrade.State.RUNNING:
        run.state = Upgrade.State.RUNNING
        save(run, "state")
    reason = _unfit(run, server)
    if reason:
        _move(step, State.SKIPPED, reason)
        return
    step.started_at, step.reds = timezone.now(), health.reds(server)
    server_drain(server=server, within=timedelta(seconds=run.drain_seconds), actor=WORKER)
    _move(step, State.DRAINING)


def _unfit(run: Upgrade, server: Server) -> str:
    if server.version == run.version:
        return f"The server has version {run.version} already."
    if server.state != "enabled":
        return f"The server is {server.state}, so it was not upgraded."
    return "" if server.is_heard else "The server's agent is not heard of, so the server was not upgraded."


def _drained(run: Upgrade, step: ServerUpgrade) -> bool:
    server = step.server
    if server.state != "draining":
        message = (
            f"Somebody ended the server's drain, so the server was not upgraded and is {server.state} now."
        )
        return _move(step, State.SKIPPED, message)
    if run.cancelled_by:
        server_enable(server=server, actor=WORKER)
        message = f"The server was still draining when {run.cancelled_by} cancelled the upgrade. The server serves on."
        return _move(step, State.SKIPPED, message)
    if not is_drained(server):
        return False
    _move(step, State.INSTALLING)
    # Publish: from now on the server's configuration holds the order.
    config.publish(servers=True)
    return True


def _installed(run: Upgrade, step: ServerUpgrade) -> bool:
    if step.told in ("failed", "rolled_back"):
        return _give_up(step)
    if step.told in ("restarting", "healthy"):
        return _move(step, State.CHECKING)
    if timezone.now() - step.changed_at < INSTALL_LIMIT:
        return False
    minutes = INSTALL_LIMIT.seconds // 60
    return _leave(
        step, f"The server did not report within {minutes} minutes that it installed the new version."
    )


def _checked(run: Upgrade, step: ServerUpgrade) -> bool:
    """Let a server pass that reports itself healthy, runs the new version and has no worse light than before."""
    if step.told in ("failed", "rolled_back"):
        return _give_up(step)
    server = step.server
    worse = sorted(set(health.reds(server)) - set(step.reds))
    heard = server.heard_at is not None and server.heard_at > step.changed_at
    if step.told == "healthy" and heard and server.version == run.version and not worse:
        _release(server)
        return _move(step, State.DONE, f"From {step.version_before or 'unknown'} to {run.version}.")
    if timezone.now() - step.changed_at < check_limit():
        return False
    reason = (
        f"The server is not in good health: {', '.join(worse)}."
        if worse and heard
        else "The server did not report itself healthy with the new version in time."
    )
    return _leave(step, reason)


def _give_up(step: ServerUpgrade) -> bool:
    """Record a failure after which the server, as it reports, works by its old version: let it carry flows again."""
    _release(step.server)
    state = State.FAILED if step.told == "failed" else State.ROLLED_BACK
    return _move(step, state, step.message)


def _release(server: Server) -> None:
    """Take the order back, and let the server carry flows again unless somebody switched it meanwhile."""
    if server.state == "draining":
        server_enable(server=server, actor=WORKER)
    else:
        config.publish(servers=True)


def _leave(step: ServerUpgrade, reason: str) -> bool:
    """Record a failure that leaves the server's state unknown: no flows go to it until somebody has looked."""
    config.publish(servers=True)
    return _move(
        step, State.FAILED, f"{reason} The server was left drained: look at the server, then enable it."
    )
