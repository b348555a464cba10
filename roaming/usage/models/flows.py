"""Flows: what sessions connected to, and how many bytes each flow took. Written by the edge API, never by hand."""

from django.db import models

from console.models import Gateway


class Flow(models.Model):
    """Connection of a user session to one destination.

    Session, account and the rest are plain ids: a flow outlives what it names. Bytes are cumulative and never fall.
    """

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="flows")
    flow = models.CharField(max_length=64)
    session = models.CharField(max_length=40, blank=True)
    account = models.CharField(max_length=40, blank=True)
    instance = models.CharField(max_length=40, blank=True)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    application = models.CharField(max_length=40, blank=True, db_index=True)
    policy = models.CharField(max_length=40, blank=True)
    connector = models.CharField(max_length=40, blank=True, db_index=True)
    path = models.CharField(max_length=10)
    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True, db_index=True)
    bytes_up = models.PositiveBigIntegerField(default=0)
    bytes_down = models.PositiveBigIntegerField(default=0)
    end = models.CharField(max_length=10, null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "flow"],
                name="flow_once",
                violation_error_message="This gateway already reported this flow.",
            )
        ]
        indexes = [
            models.Index(fields=["account", "started_at"], name="flow_of_account"),
            models.Index(fields=["account", "ended_at"], name="flow_end_of_account"),
            models.Index(fields=["instance", "started_at"], name="flow_of_instance"),
            models.Index(fields=["instance", "ended_at"], name="flow_end_of_instance"),
            models.Index(fields=["session"], condition=models.Q(ended_at=None), name="flow_open_of_session"),
        ]

    def __str__(self) -> str:
        return f"{self.account or '—'} → {self.host}:{self.port}"
