"""Writes to forwarding policies and user groups; every door calls these, so rules hold once."""

from connectors.policies.services.groups import group_create, group_delete, group_update
from connectors.policies.services.policies import (
    policy_create,
    policy_delete,
    policy_switch,
    policy_update,
)

__all__ = [
    "group_create",
    "group_delete",
    "group_update",
    "policy_create",
    "policy_delete",
    "policy_switch",
    "policy_update",
]
