"""Audit rows, which are only ever added and chained by hash."""

from django.db import models


class AuditRow(models.Model):
    """A change, with who made it.

    ``digest`` covers the row and the digest of the row before it, so that a missing or altered row shows.
    """

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=150)
    source = models.CharField(max_length=60, blank=True, help_text="The caller's address.")
    verb = models.CharField(max_length=60, db_index=True)
    target_kind = models.CharField(max_length=40)
    target = models.CharField(max_length=64, db_index=True)
    target_name = models.CharField(max_length=200, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"
