"""Upgrades of connectors from the console: one run, with a step for each of the connector's servers."""

from datetime import time

from django.db import models

from connectors.fleet.models.connectors import Connector, Server

# The migrations name `new_upgrade_id` here.
from console.machines.models.upgrades import (
    RUN_ENDS_SENTENCE,
    RUN_OPEN,
    RUN_WHOLE,
    STEP_ACTIVE,
    STEP_ENDS_SENTENCE,
    STEP_WHOLE,
    UpgradeRun,
    UpgradeStep,
    new_upgrade_id,
)

__all__ = ["ServerUpgrade", "Upgrade", "new_upgrade_id"]


class Upgrade(UpgradeRun):
    """Run that upgrades the servers of a connector. ``in_window``: begin servers within the connector's window only."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="upgrades")
    in_window = models.BooleanField()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector"],
                condition=RUN_OPEN,
                name="upgrade_one_open",
                violation_error_message="An upgrade of this connector is going on already.",
            ),
            models.CheckConstraint(
                condition=RUN_WHOLE, name="upgrade_state_whole", violation_error_message=RUN_ENDS_SENTENCE
            ),
        ]

    @property
    def owner(self) -> Connector:
        return self.connector

    @property
    def window(self) -> tuple[time, time] | None:
        start, end = self.connector.upgrade_start, self.connector.upgrade_end
        return (start, end) if self.in_window and start is not None and end is not None else None


class ServerUpgrade(UpgradeStep):
    """Part of one server in the upgrade of its connector."""

    upgrade = models.ForeignKey(Upgrade, on_delete=models.CASCADE, related_name="steps")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="upgrades")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["upgrade", "server"],
                name="server_upgrade_once",
                violation_error_message="This server is part of this upgrade already.",
            ),
            models.UniqueConstraint(
                fields=["upgrade"],
                condition=STEP_ACTIVE,
                name="server_upgrade_one_at_a_time",
                violation_error_message="Servers are upgraded one at a time.",
            ),
            models.CheckConstraint(
                condition=STEP_WHOLE,
                name="server_upgrade_state_whole",
                violation_error_message=STEP_ENDS_SENTENCE,
            ),
        ]

    @property
    def machine(self) -> Server:
        return self.server
