"""Client accounts: the users of an instance."""

from django.db import models
from django.db.models.functions import Lower

from console.core.ids import new_id
from roaming import rules
from roaming.fields import IPv4Field, KeyField
from roaming.instances.models import Instance


def new_account_id() -> str:
    return new_id("user")


class ClientAccount(models.Model):
    """User of one instance. Copies made by roaming share ``origin``, and with it the password.

    Log-on, uniqueness and prefix search go by ``username_key`` and ``email_key``: upper and lower case are the same,
    and an ordinary index serves both databases.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_account_id, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="accounts")
    username = models.CharField("user name", max_length=33, validators=[rules.USERNAME])
    username_key = models.GeneratedField(
        expression=Lower("username"), output_field=KeyField(max_length=33), db_persist=True
    )
    email = models.CharField("e-mail", max_length=64, validators=[rules.EMAIL])
    email_key = models.GeneratedField(
        expression=Lower("email"), output_field=KeyField(max_length=64), db_persist=True
    )
    password = models.CharField("password hash", max_length=160, editable=False)
    bandwidth_kbps = models.PositiveIntegerField(
        "bandwidth, kbit/s", default=2000, validators=rules.BANDWIDTH
    )
    static_ip = IPv4Field("static client IP", null=True, blank=True)
    enabled = models.BooleanField(default=True)
    source = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="copies",
        verbose_name="roamed from",
    )
    origin = models.CharField(max_length=40, db_index=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_logon_at = models.DateTimeField("last log-on", null=True, blank=True)

    class Meta:
        ordering = ["username_key"]
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "username_key"],
                name="account_username_once",
                violation_error_message="The instance has a client account of this user name already.",
            ),
            models.UniqueConstraint(
                fields=["instance", "static_ip"],
                condition=models.Q(static_ip__isnull=False),
                name="account_static_ip_once",
                violation_error_message="Another client account of the instance has this static IP.",
            ),
            models.CheckConstraint(
                condition=models.Q(bandwidth_kbps__gte=1, bandwidth_kbps__lte=rules.MAX_BANDWIDTH),
                name="account_bandwidth_range",
                violation_error_message="Bandwidth must be 1–10,000,000 kbit/s.",
            ),
        ]
        indexes = [
            # Each index holds all that finding a page or searching asks for, so that the wide rows need not be read.
            models.Index(
                fields=["instance", "username_key", "id", "email_key", "enabled"], name="account_by_name"
            ),
            models.Index(fields=["instance", "email_key", "id"], name="account_by_email"),
            models.Index(fields=["instance", "last_logon_at", "id"], name="account_by_logon"),
        ]

    def __str__(self) -> str:
        return self.username
