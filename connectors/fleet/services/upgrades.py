"""Upgrades of connector servers from the console, those of a connector in one run (``console.machines.upgrades``)."""

from datetime import timedelta

from connectors.fleet import health
from connectors.fleet.models.connectors import Connector, Server
from connectors.fleet.models.upgrades import ServerUpgrade, Upgrade
from connectors.fleet.services.servers import is_drained, server_drain, server_switch
from console.core.audit import Actor
from console.core.errors import Invalid
from console.machines import config
from console.machines.upgrade_rule import WORKER
from console.machines.upgrades import Upgrades


class _ServerUpgrades(Upgrades[Upgrade, ServerUpgrade]):
    runs, steps, machine, owner = Upgrade, ServerUpgrade, "server", "connector"
    aftermath = "The server was left drained: look at the server, then enable it."

    def unfit(self, step: ServerUpgrade) -> str:
        state = step.server.state
        return "" if state == "enabled" else f"The server is {state}, so it was not upgraded."

    def drain(self, run: Upgrade, step: ServerUpgrade) -> None:
        server_drain(server=step.server, within=timedelta(seconds=run.drain_seconds), actor=WORKER)

    def is_drained(self, run: Upgrade, step: ServerUpgrade) -> bool:
        return is_drained(step.server)

    def interrupted(self, step: ServerUpgrade) -> str:
        state = step.server.state
        if state == "draining":
            return ""
        return f"Somebody ended the server's drain, so the server was not upgraded and is {state} now."

    def release(self, step: ServerUpgrade) -> None:
        """Take the order back, and let the server carry flows again unless somebody switched it meanwhile."""
        if step.server.state == "draining":
            server_switch(server=step.server, enabled=True, actor=WORKER)
        else:
            self.publish()

    def faults(self, step: ServerUpgrade) -> list[str]:
        return health.reds(step.server)

    def publish(self) -> None:
        config.publish(servers=True)


SERVERS = _ServerUpgrades()


def upgrades_end_after_restore() -> tuple[str, int]:
    """End the upgrades of a restored database: whether they ended since is not known."""
    return "upgrades of servers", SERVERS.end_all(reason="Ended, because a backup was restored.")


def upgrade_start(*, connector: Connector, in_window: bool, drain: timedelta, actor: Actor) -> Upgrade:
    """Bring every server of a connector to the console's version, now or within the connector's upgrade window.

    ``drain``: how long a server's connections may go on. Raise ``Invalid`` (fields ``when``, ``minutes``) and
    ``Conflict`` when there is no wheel, nothing to upgrade, or an upgrade under way.
    """
    if in_window and connector.upgrade_start is None:
        sentence = f"{connector} has no upgrade window: set one, or choose “now”."
        raise Invalid(sentence, field="when")
    run = Upgrade(connector=connector, in_window=in_window)
    return SERVERS.start(run, Server.objects.filter(connector=connector), drain=drain, actor=actor)
