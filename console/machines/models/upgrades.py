"""Upgrades of machines from the console: runs that bring machines to one version, with a step for each machine.

The two bases hold what runs and steps of every kind of machine have. Those of gateways follow, an area's in one run;
`connectors.fleet.models.upgrades` has those of connector servers.
"""

from datetime import UTC, datetime, time
from typing import Any

from django.db import models
from django.utils import timezone

from console.core.ids import new_id
from console.core.models.geography import Area
from console.machines.models.machines import Gateway

WINDOW_SENTENCE = "Give the upgrade window a start and another end, both as HH:MM, or neither."
RUN_ENDS_SENTENCE = "An upgrade that is waiting or running has no end; any other has one."
STEP_ENDS_SENTENCE = "A step that is going on has no end; any other has one."
RUN_OPEN = models.Q(state__in=["waiting", "running"])
RUN_WHOLE = models.Q(state__in=["waiting", "running"], finished_at=None) | models.Q(
    state__in=["done", "failed", "cancelled"], finished_at__isnull=False
)
STEP_ACTIVE = models.Q(state__in=["draining", "installing", "checking"])
STEP_WHOLE = models.Q(
    state__in=["waiting", "draining", "installing", "checking"], finished_at=None
) | models.Q(state__in=["done", "failed", "rolled_back", "skipped"], finished_at__isnull=False)


def new_upgrade_id() -> str:
    return new_id("upgrade")


class UpgradeRun(models.Model):
    """Run that brings the machines of one owner to one version, one after the other.

    ``drain_seconds``: how long a machine's connections may go on at most. ``cancelled_by``: who stopped the run; the
    machine in hand is finished first.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    OPEN = (State.WAITING, State.RUNNING)

    id = models.CharField(primary_key=True, max_length=40, default=new_upgrade_id, editable=False)
    version = models.CharField(max_length=40)
    wheel = models.CharField(max_length=200, help_text="The wheel's file name.")
    sha256 = models.CharField(max_length=64)
    drain_seconds = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    started_by = models.CharField(max_length=150)
    cancelled_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.owner} to {self.version}"

    @property
    def owner(self) -> Any:
        """Row whose machines are upgraded."""
        raise NotImplementedError

    @property
    def window(self) -> tuple[time, time] | None:
        """Times of day (UTC) between which machines are begun; None for any time."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    def may_begin(self, now: datetime) -> bool:
        """Tell whether a machine may be begun at this moment."""
        if self.window is None:
            return True
        (start, end), moment = self.window, now.astimezone(UTC).time()
        # Windows that end before they start go on past midnight.
        return start <= moment < end if start < end else moment >= start or moment < end


class UpgradeStep(models.Model):
    """Part of one machine in a run. ``message`` is a sentence; ``told`` is what the machine reported last.

    ``reds``: what was not good before the step began, which an upgrade need not put right.
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
    ORDERED = (State.INSTALLING, State.CHECKING)
    BAD = (State.FAILED, State.ROLLED_BACK)
    OVER = (State.DONE, State.FAILED, State.ROLLED_BACK, State.SKIPPED)

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
        abstract = True

    def __str__(self) -> str:
        return f"{self.machine}: {self.get_state_display()}"

    @property
    def machine(self) -> Any:
        raise NotImplementedError

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE


class AreaUpgrade(UpgradeRun):
    """Run that upgrades the gateways of an area. ``window_start``, ``window_end``: empty for any time of day."""

    area = models.ForeignKey(Area, on_delete=models.CASCADE, related_name="upgrades")
    window_start = models.TimeField(null=True, blank=True)
    window_end = models.TimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["area"],
                condition=RUN_OPEN,
                name="area_upgrade_one_open",
                violation_error_message="An upgrade of this area is going on already.",
            ),
            models.CheckConstraint(
                condition=RUN_WHOLE,
                name="area_upgrade_state_whole",
                violation_error_message=RUN_ENDS_SENTENCE,
            ),
            models.CheckConstraint(
                condition=models.Q(window_start=None, window_end=None)
                | models.Q(window_start__isnull=False, window_end__isnull=False)
                & ~models.Q(window_start=models.F("window_end")),
                name="area_upgrade_window_whole",
                violation_error_message=WINDOW_SENTENCE,
            ),
        ]

    @property
    def owner(self) -> Area:
        return self.area

    @property
    def window(self) -> tuple[time, time] | None:
        start, end = self.window_start, self.window_end
        return (start, end) if start is not None and end is not None else None


class GatewayUpgrade(UpgradeStep):
    """Part of one gateway in the upgrade of its area."""

    upgrade = models.ForeignKey(AreaUpgrade, on_delete=models.CASCADE, related_name="steps")
    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="upgrades")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["upgrade", "gateway"],
                name="gateway_upgrade_once",
                violation_error_message="This gateway is part of this upgrade already.",
            ),
            models.UniqueConstraint(
                fields=["upgrade"],
                condition=STEP_ACTIVE,
                name="gateway_upgrade_one_at_a_time",
                violation_error_message="Gateways are upgraded one at a time.",
            ),
            models.CheckConstraint(
                condition=STEP_WHOLE,
                name="gateway_upgrade_state_whole",
                violation_error_message=STEP_ENDS_SENTENCE,
            ),
        ]

    @property
    def machine(self) -> Gateway:
        return self.gateway
