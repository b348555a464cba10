"""People and programs that use the console."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from console.core.sealed import SealedField

# Purpose for which secrets of access keys are sealed.
ACCESS_KEYS = "access-keys"


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


class AccessKey(models.Model):
    """A program's key for the cloud API. The secret signs requests, so it is kept encrypted rather than hashed."""

    id = models.CharField(primary_key=True, max_length=32)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_keys")
    secret_encrypted = SealedField(purpose=ACCESS_KEYS, editable=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.id
