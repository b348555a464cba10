"""Tables of alerts: rules of each connector, alerts found, silences and settings."""

from datetime import datetime, timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from connectors.fields import NO_NUL
from connectors.fleet.models.connectors import Connector
from console.core.constraints import one_of
from console.core.ids import new_id

LONGEST_HOLD = 24 * 3600
HOLD_SENTENCE = "The time must be a whole number of seconds from 0 to 86,400."
HYSTERESIS_SENTENCE = "The hysteresis must be a whole number of percent from 0 to 90."
REMIND_SENTENCE = "Reminders come at most a week apart: 0 to 10,080 minutes."
GROUP_SENTENCE = "Alerts are told together from 2 to 1,000 at once."


def new_alert_id() -> str:
    return new_id("alert")


class AlertRule(models.Model):
    """Rule of one type of alert for one connector; without a connector, for the gateways.

    A row exists once somebody changed something: until then ``connectors.alerts.kinds`` holds.
    """

    connector = models.ForeignKey(
        Connector, on_delete=models.CASCADE, null=True, blank=True, related_name="alert_rules"
    )
    kind = models.CharField(max_length=20)
    enabled = models.BooleanField(default=True)
    threshold = models.FloatField(
        null=True, blank=True, help_text="In the unit of the type; empty for types without."
    )
    hold_seconds = models.PositiveIntegerField(
        default=120,
        validators=[MaxValueValidator(LONGEST_HOLD, HOLD_SENTENCE)],
        help_text="How long the condition must hold.",
    )
    hysteresis_percent = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(0, HYSTERESIS_SENTENCE), MaxValueValidator(90, HYSTERESIS_SENTENCE)],
        help_text="How far below the threshold the value must fall for the alert to end.",
    )
    recovery = models.BooleanField("recovery notice", default=True)

    class Meta:
        ordering = ["connector", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector", "kind"],
                name="alert_rule_once",
                violation_error_message="This connector has a rule of this type already.",
            ),
            models.UniqueConstraint(
                fields=["kind"],
                condition=models.Q(connector=None),
                name="alert_rule_gateways_once",
                violation_error_message="The gateways have a rule of this type already.",
            ),
            models.CheckConstraint(
                condition=models.Q(threshold=None) | models.Q(threshold__gt=0),
                name="alert_rule_threshold_positive",
                violation_error_message="The threshold must be more than 0.",
            ),
            models.CheckConstraint(
                condition=models.Q(hold_seconds__lte=LONGEST_HOLD),
                name="alert_rule_hold_legal",
                violation_error_message=HOLD_SENTENCE,
            ),
            models.CheckConstraint(
                condition=models.Q(hysteresis_percent__lte=90),
                name="alert_rule_hysteresis_legal",
                violation_error_message=HYSTERESIS_SENTENCE,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.connector_id or 'gateways'}"


class Alert(models.Model):
    """Time that a condition held, from its beginning to its end. Machines in order have no row.

    Server, gateway and connector are plain ids with their names of then: an alert outlives what it names.
    ``told`` is what the channels last heard of the alert, by which untold changes are found.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"

    class End(models.TextChoices):
        RECOVERED = "recovered", "Recovered"
        NOT_WATCHED = "not_watched", "No longer watched"
        REMOVED = "removed", "Removed"

    id = models.CharField(primary_key=True, max_length=40, default=new_alert_id, editable=False)
    kind = models.CharField(max_length=20)
    connector = models.CharField(max_length=40, blank=True, db_index=True)
    connector_name = models.CharField(max_length=128, blank=True)
    subject_kind = models.CharField(max_length=10, help_text="server or gateway")
    subject = models.CharField(max_length=40, db_index=True)
    subject_name = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=State.choices)
    since = models.DateTimeField(help_text="Since when the condition holds.")
    seen_at = models.DateTimeField(help_text="When it was last measured, while pending.")
    fired_at = models.DateTimeField(null=True, blank=True, db_index=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    end = models.CharField(max_length=15, choices=End.choices, blank=True)
    value = models.FloatField(null=True, blank=True, help_text="What was measured when it fired.")
    threshold = models.FloatField(null=True, blank=True)
    mark = models.BigIntegerField(null=True, blank=True, help_text="Drift: the version that must be applied.")
    told = models.CharField(max_length=10, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-since", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=models.Q(state__in=["pending", "firing"]),
                name="alert_open_once",
                violation_error_message="This alert is open already.",
            ),
            one_of("state", ["pending", "firing", "resolved"], name="alert_state_known", called="The state"),
        ]
        indexes = [
            models.Index(fields=["state"], condition=~models.Q(state="resolved"), name="alert_open"),
            models.Index(
                fields=["told"], condition=models.Q(state="resolved", told="firing"), name="alert_end_untold"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject_name}"

    @property
    def lasted(self) -> timedelta | None:
        """Return the time from the beginning of the condition to its end, None while it holds."""
        return None if self.resolved_at is None else self.resolved_at - self.since


class AlertSilence(models.Model):
    """Silence: until when nobody is told of a server's, gateway's or connector's alerts (of one type, or of all)."""

    target = models.CharField(
        max_length=40, db_index=True, help_text="The id of a server, gateway or connector."
    )
    target_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=20, blank=True, help_text="Empty: every type.")
    reason = models.CharField(max_length=128, blank=True, validators=[NO_NUL])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=150)
    until = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["until"]

    def __str__(self) -> str:
        return f"{self.kind or 'all alerts'} of {self.target_name}"

    def is_active(self, now: datetime | None = None) -> bool:
        return self.until > (now or timezone.now())


class AlertSettings(models.Model):
    """Settings, in one row: how often firing alerts are told again, and from how many at once one message tells all.

    Writers of alerts' states lock this row first.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    remind_minutes = models.PositiveIntegerField(
        default=240,
        validators=[MaxValueValidator(10080, REMIND_SENTENCE)],
        help_text="0: no reminders.",
    )
    group_from = models.PositiveIntegerField(
        default=5,
        validators=[
            MinValueValidator(2, GROUP_SENTENCE),
            MaxValueValidator(1000, GROUP_SENTENCE),
        ],
    )
    evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "alert settings"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="alert_settings_one_row")]

    def __str__(self) -> str:
        return "Alert settings"
