"""Forms that were sent: each one once, with the answer that a repetition gets."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from console.core.sealed import SealedField

PURPOSE = "submissions"


class Submission(models.Model):
    """A form that somebody sent. ``key``: a hash of the sender, the form's token, its address and all that it said.

    ``written``: whether something was changed, noted in the transaction of the change. ``answer``: status, headers and
    body, sealed, because the answer may show a secret once; erased after a quarter of an hour.
    """

    key = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    begun_at = models.DateTimeField(default=timezone.now, db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    written = models.BooleanField(default=False, db_default=False)
    answer = SealedField(purpose=PURPOSE, blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["-begun_at", "-id"]

    def __str__(self) -> str:
        return self.path
