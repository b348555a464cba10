"""Cut-overs with their confirmations by gateways, and the batches that machines sent."""

from django.db import models
from django.utils import timezone


class Cutover(models.Model):
    """A change that cuts flows off; done when every gateway it names has applied its version."""

    version = models.PositiveBigIntegerField(db_index=True)
    reason = models.CharField(max_length=200)
    target = models.CharField(max_length=64, db_index=True)
    requested_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.reason


class CutoverConfirmation(models.Model):
    """A gateway's part of a cut-over; ``confirmed_at`` is empty until the gateway confirms the cut."""

    cutover = models.ForeignKey(Cutover, on_delete=models.CASCADE, related_name="confirmations")
    gateway = models.ForeignKey("console.Gateway", on_delete=models.CASCADE, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    flows_cut = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cutover", "gateway"], name="cutover_gateway_once"),
        ]
        indexes = [
            models.Index(
                fields=["gateway"], condition=models.Q(confirmed_at=None), name="cutover_unconfirmed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id}: {'confirmed' if self.confirmed_at else 'not confirmed'}"


class EndedSession(models.Model):
    """End of a user session, which gateways are told of ahead of the configuration. Numbers rise by commits."""

    number = models.PositiveBigIntegerField(primary_key=True)
    session = models.CharField(max_length=40)
    reason = models.CharField(max_length=20)
    until = models.DateTimeField(db_index=True, help_text="When the session's token ends by itself.")

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return self.session

    @property
    def mark(self) -> str:
        """Text by which a gateway says that it knows this end and every earlier one."""
        return f"{self.number}.{self.session}"


class PastEpoch(models.Model):
    """An epoch of the configuration that is over: who works by it is behind, and proves nothing any more.

    Another console's, or one that this database forgot, is noted as over, too, when a machine proved it.
    """

    id = models.CharField(primary_key=True, max_length=32)
    ended_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200)
    machine = models.CharField(
        max_length=40, blank=True, db_index=True, help_text="Who showed that the history was turned back."
    )

    class Meta:
        ordering = ["-ended_at", "id"]

    def __str__(self) -> str:
        return self.id


class ReceivedBatch(models.Model):
    """A batch of records that was committed: sent again, it is acknowledged and not counted again."""

    machine = models.CharField(max_length=40)
    batch = models.UUIDField()
    received_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["machine", "batch"], name="received_batch_once")]

    def __str__(self) -> str:
        return f"{self.machine} {self.batch}"
