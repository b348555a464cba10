"""Cloud Connect Networks and the cloud networks that they reach."""

from django.db import models

from console.core.ids import new_id
from console.models import Area
from roaming import rules


def new_ccn_id() -> str:
    return new_id("ccn")


class CCN(models.Model):
    """Cloud Connect Network: bound instances of its area reach its cloud networks."""

    id = models.CharField(primary_key=True, max_length=40, default=new_ccn_id, editable=False)
    name = models.CharField(max_length=100, validators=[rules.CCN_NAME])
    area = models.ForeignKey(Area, on_delete=models.PROTECT, related_name="ccns")
    description = models.CharField(max_length=256, blank=True, validators=[rules.DESCRIPTION])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "CCN"
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["area", "name"],
                name="ccn_name_once_an_area",
                violation_error_message="A CCN of this name exists in the area already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class CloudNetwork(models.Model):
    """Block of addresses that the gateways of the CCN's area reach directly."""

    ccn = models.ForeignKey(CCN, on_delete=models.CASCADE, related_name="cloud_networks")
    cidr = models.CharField("CIDR block", max_length=18, validators=[rules.validate_block])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["ccn", "cidr"],
                name="cloud_network_once_a_ccn",
                violation_error_message="The CCN holds this block already.",
            )
        ]

    def __str__(self) -> str:
        return self.cidr
