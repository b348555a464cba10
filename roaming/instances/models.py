"""SAG APP instances and their private blocks."""

from ipaddress import IPv4Network

from django.db import models

from console.core.constraints import one_of
from console.core.ids import new_id
from console.models import Region
from roaming import rules
from roaming.ccns.models import CCN
from roaming.fields import IPv4Field


def new_instance_id() -> str:
    return new_id("sag")


class Instance(models.Model):
    """Instance that client accounts belong to: a region, blocks that client IPs come from, a CCN, a quota."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Available"
        STOPPED = "stopped", "Stopped"
        DELETING = "deleting", "Being deleted"

    id = models.CharField(primary_key=True, max_length=40, default=new_instance_id, editable=False)
    name = models.CharField(max_length=128, validators=[rules.INSTANCE_NAME])
    description = models.CharField(max_length=256, blank=True, validators=[rules.DESCRIPTION])
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="instances")
    ccn = models.ForeignKey(
        CCN, verbose_name="CCN", on_delete=models.PROTECT, related_name="instances", null=True, blank=True
    )
    account_quota = models.PositiveIntegerField(default=10, validators=rules.QUOTA)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    dns1 = IPv4Field("DNS server", null=True, blank=True)
    dns2 = IPv4Field("standby DNS server", null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(account_quota__gte=1, account_quota__lte=rules.MAX_QUOTA),
                name="instance_quota_range",
                violation_error_message="Account quota must be 1–1,000,000.",
            ),
            one_of("status", ["active", "stopped", "deleting"], name="instance_status_known"),
            models.CheckConstraint(
                condition=models.Q(dns2=None) | models.Q(dns1__isnull=False),
                name="instance_dns_first_first",
                violation_error_message="A standby DNS server needs a first one.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def is_deleting(self) -> bool:
        """Tell whether the instance and its accounts are being removed in the background."""
        return self.status == self.Status.DELETING

    def blocks(self) -> list[IPv4Network]:
        """Return the private blocks in their order; one query unless prefetched."""
        return [IPv4Network(row.cidr) for row in self.cidrs.all()]


class InstanceCidr(models.Model):
    """Private block of an instance. The services keep blocks from overlapping, under the instance's lock."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="cidrs")
    cidr = models.CharField("CIDR block", max_length=18, validators=[rules.validate_block])
    position = models.PositiveSmallIntegerField()

    class Meta:
        verbose_name = "private CIDR block"
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "cidr"],
                name="instance_cidr_once",
                violation_error_message="The instance holds this block already.",
            )
        ]

    def __str__(self) -> str:
        return self.cidr
