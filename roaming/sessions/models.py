"""Log-ons: the sessions that they open, and the failures that lock out."""

from django.db import models
from django.utils import timezone

from console.core.ids import new_id
from console.models import Gateway
from roaming.accounts.models import ClientAccount
from roaming.fields import IPv4Field
from roaming.instances.models import Instance


def new_session_id() -> str:
    return new_id("session")


class UserSession(models.Model):
    """Session of a client account: one log-on until log-off, expiry or another end.

    The row outlives its account, because gateways must hear of an ended session until its token would have expired.
    """

    class Kind(models.TextChoices):
        PROXY = "proxy", "Proxy client"
        CONNECT = "connect", "causeway connect"

    class End(models.TextChoices):
        LOGGED_OFF = "logged_off", "Logged off"
        KICKED = "kicked", "Kicked"
        ACCOUNT_DISABLED = "account_disabled", "Account disabled"
        ACCOUNT_DELETED = "account_deleted", "Account removed"
        PASSWORD_RESET = "password_reset", "Password reset"
        INSTANCE_INACTIVE = "instance_inactive", "Instance not available"
        EXPIRED = "expired", "Expired"
        REPLACED = "replaced", "Replaced by a newer log-on"

    id = models.CharField(primary_key=True, max_length=40, default=new_session_id, editable=False)
    account = models.ForeignKey(
        ClientAccount, on_delete=models.SET_NULL, null=True, blank=True, related_name="sessions"
    )
    username = models.CharField("user name", max_length=33)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="sessions")
    client_ip = IPv4Field("client IP")
    # The bandwidth in all tokens of this session; gateways are told when the account has another by now.
    bandwidth_kbps = models.PositiveIntegerField("bandwidth, kbit/s", null=True, editable=False)
    public_address = models.CharField(max_length=45, blank=True)
    gateway = models.ForeignKey(Gateway, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    renewed_at = models.DateTimeField(null=True, blank=True)
    last_active_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=20, choices=End.choices, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "client_ip"],
                condition=models.Q(ended_at=None),
                name="session_client_ip_once_live",
                violation_error_message="Another live session of the instance has this client IP.",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, end_reason="")
                | models.Q(
                    ended_at__isnull=False,
                    end_reason__in=[
                        "logged_off",
                        "kicked",
                        "account_disabled",
                        "account_deleted",
                        "password_reset",
                        "instance_inactive",
                        "expired",
                        "replaced",
                    ],
                ),
                name="session_end_has_reason",
                violation_error_message="An ended session needs a known reason, a live one has none.",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["proxy", "connect"]),
                name="session_kind_known",
                violation_error_message="Kind must be proxy or connect.",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account"], condition=models.Q(ended_at=None), name="session_live_of_account"
            ),
            models.Index(
                fields=["expires_at"], condition=models.Q(ended_at=None), name="session_live_expiry"
            ),
            models.Index(
                fields=["expires_at"], condition=models.Q(ended_at__isnull=False), name="session_ended_expiry"
            ),
            models.Index(fields=["instance", "-created_at"], name="session_of_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.username} {self.client_ip}"


class LogonFailures(models.Model):
    """Bucket of failed log-ons, which leaks: `roaming.sessions.lockout`. ``level``: failures in it at ``updated_at``.

    ``until``: when the bucket has room again, once it was full. ``account``: none for a name that does not exist.
    ``last_wrong``: the last wrong password, by a keyed hash. ``turn_at``: when the next slowed log-on is looked at.
    """

    class Kind(models.TextChoices):
        PAIR = "pair", "Locked out"
        NAME = "name", "Slowed, from everywhere"
        ADDRESS = "address", "Slowed, whoever logs on"

    key = models.CharField(primary_key=True, max_length=60)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    account = models.ForeignKey(
        ClientAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    address = models.CharField(max_length=45, blank=True)
    until = models.DateTimeField(null=True, blank=True, db_index=True)
    level = models.FloatField(default=0)
    updated_at = models.DateTimeField(db_index=True)
    last_wrong = models.CharField(max_length=16, blank=True, editable=False)
    turn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "log-on failures"
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        who = str(self.account or "an unknown name") if self.kind != self.Kind.ADDRESS else "everybody"
        return f"{who} from {self.address or 'everywhere'}"
