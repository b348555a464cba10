"""Archives of machines' logs that people asked for, kept for a short time."""

from django.db import models
from django.utils import timezone

from console.core.ids import new_id


def new_export_id() -> str:
    return new_id("logs")


class LogExport(models.Model):
    """An archive asked of one machine. ``size``: bytes that arrived so far; ``parts``: in how many pieces."""

    class State(models.TextChoices):
        ASKED = "asked", "Asked"
        ARRIVING = "arriving", "Being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"

    OPEN = (State.ASKED, State.ARRIVING)

    id = models.CharField(primary_key=True, max_length=40, default=new_export_id, editable=False)
    machine = models.CharField(max_length=40, db_index=True)
    name = models.CharField(max_length=255, help_text="The machine's name when it was asked.")
    state = models.CharField(max_length=20, choices=State.choices, default=State.ASKED)
    message = models.CharField(max_length=500, blank=True)
    size = models.PositiveIntegerField(default=0)
    parts = models.PositiveIntegerField(default=0)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(null=True, blank=True, help_text="When a piece of it came last.")
    ready_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["machine"],
                condition=models.Q(state__in=["asked", "arriving"]),
                name="log_export_one_open",
                violation_error_message="The logs of this machine were asked for already.",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["asked", "arriving", "failed"], expires_at=None)
                | models.Q(state__in=["ready", "expired"], expires_at__isnull=False),
                name="log_export_state_whole",
                violation_error_message="Only an archive that arrived expires.",
            ),
        ]

    def __str__(self) -> str:
        return f"Logs of {self.name}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def is_ready(self) -> bool:
        """Return whether the archive can be fetched now; its time may be over before the worker notices."""
        return (
            self.state == self.State.READY
            and self.expires_at is not None
            and self.expires_at > timezone.now()
        )


class LogPart(models.Model):
    """A piece of an archive, in the order of ``number`` from 0."""

    export = models.ForeignKey(LogExport, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["export", "number"],
                name="log_part_once",
                violation_error_message="This piece has arrived already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.export_id}, piece {self.number}"
