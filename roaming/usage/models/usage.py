"""Bytes that an account, an instance or a session moved, in buckets of time."""

from django.db import models


class Usage(models.Model):
    """Bytes of one ``subject`` (an id) in the bucket that began at ``time``.

    The same bytes stand in the buckets of every span, so that each question is answered from few rows. Sessions have
    totals alone, accounts and instances have the others. Servers, and connectors where the server is not known, have
    hours alone: what gateways counted of the flows that each carried. Times are UTC, a month's too.
    """

    class Span(models.TextChoices):
        MINUTE = "minute", "Minute"
        HOUR = "hour", "Hour"
        MONTH = "month", "Month"
        TOTAL = "total", "Total"

    subject = models.CharField(max_length=40)
    span = models.CharField(max_length=10, choices=Span.choices)
    time = models.DateTimeField()
    bytes_up = models.PositiveBigIntegerField(default=0)
    bytes_down = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "usage"
        ordering = ["-time", "subject"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "span", "time"], name="usage_once"),
            models.CheckConstraint(
                condition=models.Q(span__in=["minute", "hour", "month", "total"]), name="usage_span_known"
            ),
        ]
        # The retention finds old rows by this index, by time alone.
        indexes = [models.Index(fields=["span", "time"], name="usage_age")]

    def __str__(self) -> str:
        return f"{self.subject} {self.span} {self.time:%Y-%m-%d %H:%M}"
