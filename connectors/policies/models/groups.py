"""User groups: client accounts by name and by rules."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from connectors.fields import DESCRIPTION, VISIBLE_NAME, new_group_id
from console.core.constraints import one_of, unique_name

MOST_RULES = 3000
RULE_VALUE = RegexValidator(
    r"^[^\x00-\x1f\x7f]{1,128}\Z", "A rule's value must be 1 to 128 characters, without control characters."
)


class UserGroup(models.Model):
    """Client accounts under one name, from any instance: those named, and those that any rule describes."""

    id = models.CharField(primary_key=True, max_length=40, default=new_group_id, editable=False)
    name = models.CharField(max_length=128, validators=[VISIBLE_NAME])
    description = models.CharField(max_length=128, blank=True, validators=DESCRIPTION)
    accounts = models.ManyToManyField("roaming.ClientAccount", blank=True, related_name="user_groups")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [unique_name("user group", name="user_group_name_unique")]

    def __str__(self) -> str:
        return self.name


class GroupRule(models.Model):
    """Rule that describes accounts by one attribute, in any case of letters; ``*`` stands for any characters."""

    class Attribute(models.TextChoices):
        USERNAME = "username", "User name"
        EMAIL = "email", "E-mail"
        INSTANCE = "instance", "Instance"
        AREA = "area", "Area"

    class Relation(models.TextChoices):
        EQUAL = "Equal", "Equal"
        UNEQUAL = "Unequal", "Unequal"

    group = models.ForeignKey(UserGroup, on_delete=models.CASCADE, related_name="rules")
    attribute = models.CharField(max_length=10, choices=Attribute.choices)
    relation = models.CharField(max_length=10, choices=Relation.choices)
    value = models.CharField(max_length=128, validators=[RULE_VALUE])

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "attribute", "relation", "value"],
                name="group_rule_once",
                violation_error_message="This rule was given twice.",
            ),
            one_of(
                "attribute",
                ["username", "email", "instance", "area"],
                name="group_rule_attribute_known",
                called="A rule's attribute",
            ),
            one_of(
                "relation", ["Equal", "Unequal"], name="group_rule_relation_known", called="A rule's relation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} {self.relation} {self.value}"
