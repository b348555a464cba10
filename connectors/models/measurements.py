"""What was measured: samples of servers and flows of gateways. Written by the edge API, never by hand."""

from django.db import models

from connectors.models.connectors import Server
from console.models import Gateway


class Sample(models.Model):
    """What one server counted in the ``seconds`` that ended at ``time``. Unmeasured is absent or null."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="samples")
    time = models.DateTimeField()
    seconds = models.FloatField()
    rx_bytes = models.PositiveBigIntegerField(help_text="Received from the gateways: the users' uploads.")
    tx_bytes = models.PositiveBigIntegerField(help_text="Sent to the gateways: the users' downloads.")
    cpu_percent = models.FloatField(null=True, blank=True)
    memory_percent = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["-time"]
        constraints = [
            models.UniqueConstraint(
                fields=["server", "time"],
                name="sample_once",
                violation_error_message="This server's sample for this time was received before.",
            ),
            models.CheckConstraint(
                condition=models.Q(seconds__gt=0),
                name="sample_seconds_positive",
                violation_error_message="A sample must span more than 0 seconds.",
            ),
        ]
        # For the retention, which goes by time alone.
        indexes = [models.Index(fields=["time"], name="sample_time")]

    def __str__(self) -> str:
        return f"{self.server_id} {self.time.isoformat()}"


class Flow(models.Model):
    """One connection of a user session to one destination.

    Session, account and the rest are plain ids: a flow outlives what it names. Bytes are cumulative and never fall.
    """

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="flows")
    flow = models.CharField(max_length=64)
    session = models.CharField(max_length=40, blank=True, db_index=True)
    account = models.CharField(max_length=40, blank=True, db_index=True)
    instance = models.CharField(max_length=40, blank=True)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    application = models.CharField(max_length=40, blank=True, db_index=True)
    policy = models.CharField(max_length=40, blank=True)
    connector = models.CharField(max_length=40, blank=True, db_index=True)
    path = models.CharField(max_length=10)
    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
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

    def __str__(self) -> str:
        return f"{self.account or '—'} → {self.host}:{self.port}"
