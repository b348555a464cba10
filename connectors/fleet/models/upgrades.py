"""Upgrades of connectors from the console: one run, with a step for each of the connector's servers."""

from django.db import models
from django.utils import timezone

from connectors.fleet.models.connectors import Connector, Server
from console.core.ids import new_id


def new_upgrade_id() -> str:
    return new_id("upgrade")


class Upgrade(models.Model):
    """Run that brings the servers of a connector to one version, one after the other.

    ``in_window``: servers are begun only within the connector's upgrade window. ``drain_seconds``: how long a server's
    connections may go on at most. ``cancelled_by``: who stopped the run; the server in hand is finished first.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    OPEN = (State.WAITING, State.RUNNING)

    id = models.CharField(primary_key=True, max_length=40, default=new_upgrade_id, editable=False)
    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="upgrades")
    version = models.CharField(max_length=40)
    wheel = models.CharField(max_length=200, help_text="The wheel's file name.")
    sha256 = models.CharField(max_length=64)
    in_window = models.BooleanField()
    drain_seconds = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    started_by = models.CharField(max_length=150)
    cancelled_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="upgrade_one_open",
                violation_error_message="An upgrade of this connector is going on already.",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "running"], finished_at=None)
                | models.Q(state__in=["done", "failed", "cancelled"], finished_at__isnull=False),
                name="upgrade_state_whole",
                violation_error_message="An upgrade that is waiting or running has no end; any other has one.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connector} to {self.version}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN


class ServerUpgrade(models.Model):
    """Part of one server in an upgrade. ``message`` is a sentence; ``told`` is what the machine reported last.

    ``reds``: lights that were not good before the step began, which an upgrade need not put right.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DRAINING = "draining", "Draining"
        INSTALLING = "installing", "Installing"
        CHECKING = "checking", "Checking"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        ROLLED_BACK = "rolled_back", "Rolled back"
        SKIPPED = "skipped", "Skipped"

    ACTIVE = (State.DRAINING, State.INSTALLING, State.CHECKING)
    BAD = (State.FAILED, State.ROLLED_BACK)
    OVER = (State.DONE, State.FAILED, State.ROLLED_BACK, State.SKIPPED)

    upgrade = models.ForeignKey(Upgrade, on_delete=models.CASCADE, related_name="steps")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="upgrades")
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    message = models.CharField(max_length=500, blank=True)
    told = models.CharField(max_length=20, blank=True)
    reds = models.JSONField(default=list)
    version_before = models.CharField(max_length=40, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=timezone.now, help_text="When its state began.")
    finished_at = models.DateTimeField(null=True, blank=True)

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
                condition=models.Q(state__in=["draining", "installing", "checking"]),
                name="server_upgrade_one_at_a_time",
                violation_error_message="Servers are upgraded one at a time.",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["waiting", "draining", "installing", "checking"], finished_at=None
                )
                | models.Q(state__in=["done", "failed", "rolled_back", "skipped"], finished_at__isnull=False),
                name="server_upgrade_state_whole",
                violation_error_message="A step that is going on has no end; any other has one.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.server}: {self.get_state_display()}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE
