"""Forwarding policies and user groups with the sizes that their lists show."""

from django.db.models import QuerySet

from connectors.policies.models.groups import GroupRule, UserGroup
from connectors.policies.models.policies import Policy
from console.kit.counts import count_of


def policies_with_sizes() -> QuerySet[Policy]:
    """Policies with the sizes of what they name: ``groups_count``, ``accounts_count`` and so on, in one query."""
    counts = {
        f"{name}_count": count_of(getattr(Policy, name).through.objects.all(), "policy")
        for name in ("groups", "accounts", "applications", "tags")
    }
    return Policy.objects.select_related("connector").annotate(**counts)


def groups_with_sizes() -> QuerySet[UserGroup]:
    """User groups with ``accounts_count``, ``rules_count`` and ``policies_count``, in one query."""
    return UserGroup.objects.annotate(
        accounts_count=count_of(UserGroup.accounts.through.objects.all(), "usergroup"),
        rules_count=count_of(GroupRule.objects.all(), "group"),
        policies_count=count_of(Policy.groups.through.objects.all(), "usergroup"),
    )
