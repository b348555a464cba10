"""Audit rows, which are only ever added and chained by hash; what stands for rows that were deleted; failed log-ins."""

from django.db import models


class AuditRow(models.Model):
    """A change, with who made it.

    ``digest`` covers the row and the digest of the row before it, so that a missing or altered row shows. ``key`` names
    the key of the digest (`console.core.audit_keys`); rows of release 0.1 have none. Triggers of the database refuse to
    change a row, and to delete one that no checkpoint stands for (migration `audit_keyed`).
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
    key = models.CharField(max_length=16, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


class AuditCheckpoint(models.Model):
    """Signed mark in the chain: ``row`` was the last row, with this ``digest``, when the mark was made.

    ``start``: rows up to ``row`` have digests without a key. ``forgotten``: rows up to ``row`` were deleted, being old.
    """

    class Kind(models.TextChoices):
        START = "start", "Start of the keyed chain"
        FORGOTTEN = "forgotten", "Old rows deleted"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    row = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    key = models.CharField(max_length=16)
    signature = models.CharField(max_length=64)

    class Meta:
        ordering = ["-row", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["start", "forgotten"]),
                name="audit_checkpoint_kind_known",
                violation_error_message="Kind must be start or forgotten.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.row}"


class FailedLogIns(models.Model):
    """Failures from one address within one minute, which become one audit row when the minute is over.

    ``kind``: ``user`` for log-ins of the console, ``account`` for log-ons of client accounts. ``names``: the first of
    those tried; ``locked``: the first of those locked out, ``lock_outs``: how many were.
    """

    kind = models.CharField(max_length=10)
    minute = models.DateTimeField(db_index=True)
    address = models.CharField(max_length=60, blank=True)
    failures = models.PositiveIntegerField(default=0)
    names = models.JSONField(default=list)
    lock_outs = models.PositiveIntegerField(default=0)
    locked = models.JSONField(default=list)

    class Meta:
        verbose_name = verbose_name_plural = "failed log-ins"
        ordering = ["-minute", "address"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "minute", "address"], name="failed_log_ins_once"),
        ]

    def __str__(self) -> str:
        return ", ".join(self.locked or self.names)[:150] or "nobody by name"
