"""Forwarding policies: which users reach which applications through which connector."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from connectors.applications.models import Application, Tag
from connectors.fields import DESCRIPTION, VISIBLE_NAME, new_policy_id
from connectors.fleet.models.connectors import Connector
from connectors.policies.models.groups import UserGroup
from console.core.constraints import unique_name

PRIORITY_SENTENCE = "Priority must be a whole number from 1 to 100; the lower one wins."


class Policy(models.Model):
    """Forwarding policy. The lowest priority decides, the older policy on a tie.

    Applications of a policy are all, some by name, or those that carry one of its tags.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_policy_id, editable=False)
    name = models.CharField("policy name", max_length=128, validators=[VISIBLE_NAME])
    description = models.CharField(max_length=128, blank=True, validators=DESCRIPTION)
    priority = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1, PRIORITY_SENTENCE), MaxValueValidator(100, PRIORITY_SENTENCE)]
    )
    all_users = models.BooleanField(default=False)
    groups = models.ManyToManyField(UserGroup, blank=True, related_name="policies")
    accounts = models.ManyToManyField("roaming.ClientAccount", blank=True, related_name="policies")
    all_applications = models.BooleanField(default=False)
    applications = models.ManyToManyField(Application, blank=True, related_name="policies")
    tags = models.ManyToManyField(Tag, blank=True, related_name="policies")
    connector = models.ForeignKey(
        Connector, on_delete=models.PROTECT, related_name="policies", verbose_name="associated connector"
    )
    enabled = models.BooleanField("policy status", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["priority", "created_at", "id"]
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(priority__gte=1, priority__lte=100),
                name="policy_priority_legal",
                violation_error_message=PRIORITY_SENTENCE,
            ),
            unique_name("forwarding policy", name="policy_name_unique"),
        ]
        indexes = [models.Index(fields=["priority", "created_at", "id"], name="policy_evaluation_order")]

    def __str__(self) -> str:
        return self.name
