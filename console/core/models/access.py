"""People and programs that use the console."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from console.core.sealed import SealedField

# Purposes for which secrets of access keys and of second factors are sealed.
ACCESS_KEYS = "access-keys"
SECOND_FACTORS = "second-factors"


class User(AbstractUser):
    """A user of the console.

    ``viewer`` sees, ``operator`` changes, ``administrator`` also manages users, gateways and keys.
    """

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        OPERATOR = "operator", "Operator"
        ADMINISTRATOR = "administrator", "Administrator"

    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    # Name of the zone in which the user reads and types times; empty: the browser's (`console.core.zones`).
    time_zone = models.CharField("time zone", max_length=64, blank=True, default="", db_default="")

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["viewer", "operator", "administrator"]),
                name="user_role_known",
                violation_error_message="Role must be viewer, operator or administrator.",
            )
        ]


class LogIn(AbstractBaseSession):
    """A session of a browser, of a user from the log-in on. The primary key is a hash of the cookie's key.

    ``public_id`` names the log-in in URLs, and stays when the cookie's key changes, as it does with the password.
    """

    public_id = models.CharField(max_length=16, blank=True, db_index=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="log_ins")
    address = models.CharField(max_length=60, blank=True)
    agent = models.CharField(max_length=200, blank=True, verbose_name="browser")
    began_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "log-in"
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.user or 'Nobody'} from {self.address or 'an unknown address'}"

    @classmethod
    def get_session_store_class(cls) -> Any:
        from console.core.sessions import SessionStore

        return SessionStore


class PasswordLink(models.Model):
    """A one-use link by which a user sets the own password, kept as a hash. A newer one takes its place."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="password_link")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"link of {self.user}"


class OpenIdentity(models.Model):
    """Who a user is at a provider of OpenID Connect: the provider's ``issuer``, and its own name for the user."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="open_identity")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "subject"],
                name="open_identity_once",
                violation_error_message="A user of this console is this user of the provider already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class SecondFactor(models.Model):
    """What a user logs in with beside the password: one-time codes of an app (TOTP), and recovery codes.

    ``last_step``: the newest step of time whose code was used, so that no code counts twice. ``recovery``: hashes of
    the recovery codes that are left. ``failures``: wrong codes since the last right one, ``failed_at``: the last one.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    secret = SealedField(purpose=SECOND_FACTORS, editable=False)
    last_step = models.PositiveBigIntegerField(default=0, editable=False)
    recovery = models.JSONField(default=list, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class AccessKey(models.Model):
    """A program's key for the cloud API. The secret signs requests, so it is kept encrypted rather than hashed."""

    id = models.CharField(primary_key=True, max_length=32)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_keys")
    secret_encrypted = SealedField(purpose=ACCESS_KEYS, editable=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.id

    @property
    def name(self) -> str:
        """Return what switches and questions call the key."""
        return self.id
