"""Measurements: samples of servers, their roll-ups and the newest sample of each. Nobody writes them by hand."""

from datetime import UTC, datetime

from django.db import models

from connectors.fleet.models.connectors import Server


class Sample(models.Model):
    """Counts of one server in the ``seconds`` that ended at ``time``. Unmeasured is absent or null."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="samples")
    time = models.DateTimeField()
    seconds = models.FloatField()
    rx_bytes = models.PositiveBigIntegerField(help_text="Received from the gateways: the users' uploads.")
    tx_bytes = models.PositiveBigIntegerField(help_text="Sent to the gateways: the users' downloads.")
    cpu_percent = models.FloatField(null=True, blank=True)
    memory_percent = models.FloatField(null=True, blank=True)
    latency_ms = models.FloatField(
        null=True, blank=True, help_text="To the gateway that is slowest to reach."
    )
    loss_percent = models.FloatField(null=True, blank=True, help_text="On the way that loses most.")
    start = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="The five minutes that it is counted in: their beginning in epoch seconds.",
    )

    class Meta:
        # PostgreSQL divides the table by days; see the migration and connectors.telemetry.partitions.
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
        # Index for the retention, which looks rows up by time alone.
        indexes = [models.Index(fields=["time"], name="sample_time")]

    def __str__(self) -> str:
        return f"{self.server_id} {self.time.isoformat()}"


class Rollup(models.Model):
    """Sums of the samples of a span. Of each measured value: sum and count for the average, and the peak.

    Bytes are whole numbers, so that sums are exact. Peaks of traffic are in bit/s, over at least a second.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    start = models.BigIntegerField(help_text="Beginning of the span in epoch seconds.")
    samples = models.PositiveIntegerField()
    seconds = models.FloatField()
    rx_bytes = models.PositiveBigIntegerField()
    tx_bytes = models.PositiveBigIntegerField()
    rx_peak = models.FloatField()
    tx_peak = models.FloatField()
    cpu_sum = models.FloatField()
    cpu_count = models.PositiveIntegerField()
    cpu_peak = models.FloatField(null=True)
    memory_sum = models.FloatField()
    memory_count = models.PositiveIntegerField()
    memory_peak = models.FloatField(null=True)
    latency_sum = models.FloatField()
    latency_count = models.PositiveIntegerField()
    latency_peak = models.FloatField(null=True)
    loss_sum = models.FloatField()
    loss_count = models.PositiveIntegerField()
    loss_peak = models.FloatField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.server_id} {datetime.fromtimestamp(self.start, UTC).isoformat()}"


class FiveMinutes(Rollup):
    """Roll-up of raw samples; ``late``: of samples that came when the raw ones of their time were gone."""

    late = models.BooleanField(default=False)

    class Meta:
        ordering = ["-start"]
        constraints = [models.UniqueConstraint(fields=["server", "start", "late"], name="five_minutes_once")]
        # Index for the retention, which looks rows up by time alone.
        indexes = [models.Index(fields=["start"], name="five_minutes_start")]


class Hour(Rollup):
    """Roll-up of the twelve five minutes of an hour."""

    class Meta:
        ordering = ["-start"]
        constraints = [models.UniqueConstraint(fields=["server", "start"], name="hour_once")]
        indexes = [models.Index(fields=["start"], name="hour_start")]


class Comparison(models.Model):
    """The one row that tells since when servers' figures are compared with the gateways'."""

    since = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="comparison_one_row")]

    def __str__(self) -> str:
        return f"since {self.since:%Y-%m-%d %H:%M}"


class Disagreement(models.Model):
    """Hour in which a server told of other bytes than the gateways counted of the flows that the server carried."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="disagreements")
    start = models.BigIntegerField(help_text="Beginning of the hour in epoch seconds.")
    told_rx = models.PositiveBigIntegerField(help_text="Bytes from users, by the server.")
    told_tx = models.PositiveBigIntegerField(help_text="Bytes to users, by the server.")
    counted_up = models.PositiveBigIntegerField(help_text="Bytes from users, by the gateways.")
    counted_down = models.PositiveBigIntegerField(help_text="Bytes to users, by the gateways.")

    class Meta:
        ordering = ["-start", "server"]
        constraints = [models.UniqueConstraint(fields=["server", "start"], name="disagreement_once")]
        # Index for the retention and for charts of all servers, which look rows up by time alone.
        indexes = [models.Index(fields=["start"], name="disagreement_start")]

    def __str__(self) -> str:
        return f"{self.server_id} {self.hour.isoformat()}"

    @property
    def hour(self) -> datetime:
        """Beginning of the hour."""
        return datetime.fromtimestamp(self.start, UTC)


class StaleRollup(models.Model):
    """Mark on a roll-up for which samples came since its count: written in their transaction, gone with the next count.

    ``version`` rises with every such transaction, so that the worker sees whether one came while it was counting.
    """

    width = models.PositiveIntegerField(help_text="300: five minutes; 3600: an hour.")
    server = models.CharField(max_length=40)
    start = models.BigIntegerField()
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["width", "server", "start"], name="stale_once")]

    def __str__(self) -> str:
        return f"{self.width} {self.server} {self.start}"


class Latest(models.Model):
    """Newest sample of a server, with what only the newest report tells: each way to a gateway, each destination.

    ``paths``: ``[{"gateway", "latency_ms", "loss_percent", "by": "udp"|"tcp"|""}]``, null what was not measured.
    ``destinations``: ``[{"application", "host", "port", "reached", "milliseconds"}]``.
    """

    server = models.OneToOneField(Server, on_delete=models.CASCADE, primary_key=True, related_name="latest")
    time = models.DateTimeField()
    seconds = models.FloatField()
    rx_bytes = models.PositiveBigIntegerField()
    tx_bytes = models.PositiveBigIntegerField()
    cpu_percent = models.FloatField(null=True)
    memory_percent = models.FloatField(null=True)
    latency_ms = models.FloatField(null=True)
    loss_percent = models.FloatField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When paths and destinations were told.")
    paths = models.JSONField(default=list)
    destinations = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.server_id} {self.time.isoformat()}"
