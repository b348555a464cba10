"""Writes to forwarding policies, whichever door they come through."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction

from connectors.applications.models import Application, Tag
from connectors.applications.tags import forget_unused
from connectors.fleet.models.connectors import Connector
from connectors.policies.models.groups import UserGroup
from connectors.policies.models.policies import Policy
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Invalid
from console.core.saving import changed, save, sides
from console.core.switching import switch
from console.machines import config

if TYPE_CHECKING:
    from roaming.models import ClientAccount

UNCHANGED: Any = object()
MEMBERS = ("groups", "accounts", "applications", "tags")


def _scope(policy: Policy, members: dict[str, list[Any]]) -> None:
    """Refuse «all» together with a selection: nobody can know which of the two was meant."""
    for flag, names in (
        ("all_users", ("groups", "accounts")),
        ("all_applications", ("applications", "tags")),
    ):
        for name in names:
            if getattr(policy, flag) and members[name]:
                what = flag.removeprefix("all_")
                raise Invalid(f"The policy covers all {what}; leave the selected {name} empty.", field=name)
    if members["applications"] and members["tags"]:
        raise Invalid("Choose applications or tags, not both.", field="tags")


def _facts(policy: Policy, members: dict[str, list[Any]]) -> dict[str, Any]:
    facts = {
        name: getattr(policy, name)
        for name in ("name", "priority", "all_users", "all_applications", "connector_id", "enabled")
    }
    return facts | {name: sorted(member.pk for member in members[name]) for name in MEMBERS}


@transaction.atomic
def policy_create(
    *,
    name: str,
    priority: int,
    connector: Connector,
    description: str = "",
    all_users: bool = False,
    groups: Iterable[UserGroup] = (),
    accounts: "Iterable[ClientAccount]" = (),
    all_applications: bool = False,
    applications: Iterable[Application] = (),
    tags: Iterable[Tag] = (),
    enabled: bool = True,
    actor: Actor,
) -> Policy:
    """Add a policy; without users or without applications it is legal and matches nothing. Raise ``Invalid``."""
    policy = Policy(
        name=name.strip(),
        description=description.strip(),
        priority=priority,
        connector=connector,
        all_users=all_users,
        all_applications=all_applications,
        enabled=enabled,
    )
    members: dict[str, list[Any]] = {
        "groups": list(groups),
        "accounts": list(accounts),
        "applications": list(applications),
        "tags": list(tags),
    }
    _scope(policy, members)
    save(policy)
    for field, chosen in members.items():
        getattr(policy, field).set(chosen)
    audit.record(actor=actor, verb="policy.create", target=policy, after=_facts(policy, members))
    config.publish(servers=True)
    return policy


@transaction.atomic
def policy_update(
    *,
    policy: Policy,
    actor: Actor,
    name: str = UNCHANGED,
    description: str = UNCHANGED,
    priority: int = UNCHANGED,
    connector: Connector = UNCHANGED,
    all_users: bool = UNCHANGED,
    groups: Iterable[UserGroup] = UNCHANGED,
    accounts: "Iterable[ClientAccount]" = UNCHANGED,
    all_applications: bool = UNCHANGED,
    applications: Iterable[Application] = UNCHANGED,
    tags: Iterable[Tag] = UNCHANGED,
) -> Policy:
    """Change what is given, and cut flows that the policy no longer allows. Raise ``Invalid``."""
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    given = {
        "name": name if name is UNCHANGED else name.strip(),
        "description": description if description is UNCHANGED else description.strip(),
        "priority": priority,
        "all_users": all_users,
        "all_applications": all_applications,
        "connector": connector,
    }
    differences = changed(policy, {key: value for key, value in given.items() if value is not UNCHANGED})
    asked: dict[str, Any] = {
        "groups": groups,
        "accounts": accounts,
        "applications": applications,
        "tags": tags,
    }
    old: dict[str, list[Any]] = {field: list(getattr(policy, field).all()) for field in MEMBERS}
    new: dict[str, list[Any]] = {
        field: old[field] if asked[field] is UNCHANGED else list(asked[field]) for field in MEMBERS
    }
    _scope(policy, new)
    if differences:
        save(policy, *differences)
    for field in MEMBERS:
        if set(old[field]) != set(new[field]):
            getattr(policy, field).set(new[field])
            differences[field] = (sorted(m.pk for m in old[field]), sorted(m.pk for m in new[field]))
    if "tags" in differences:
        forget_unused({tag.name for tag in old["tags"]} - {tag.name for tag in new["tags"]})
    if not differences:
        return policy
    audit.record(actor=actor, verb="policy.update", target=policy, **sides(differences, _plain))
    cut = f"policy.update {policy.name}" if policy.enabled and _narrows(differences) else None
    config.publish(servers=True, cut=cut, target=policy.pk)
    return policy


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, Connector) else value


def _narrows(differences: dict[str, tuple[Any, Any]]) -> bool:
    """Tell whether a flow that was allowed may be allowed no longer."""
    if "connector" in differences:
        return True
    for flag, fields in (
        ("all_users", ("groups", "accounts")),
        ("all_applications", ("applications", "tags")),
    ):
        _, covers_all = differences.get(flag, (None, None))
        if covers_all is False:
            return True
        lost = (
            set(differences[field][0]) - set(differences[field][1])
            for field in fields
            if field in differences
        )
        if not covers_all and any(lost):
            return True
    return False


@transaction.atomic
def policy_switch(*, policy: Policy, enabled: bool, actor: Actor) -> Policy:
    """Switch a policy on, or off, which cuts flows that it alone allowed. Raise ``Conflict`` when it is so already."""
    verb = switch(policy, kind="policy", enabled=enabled, actor=actor)
    # Cut nothing on switching on: a flow may fall to another policy then, but none loses its allowance.
    config.publish(servers=True, cut=None if enabled else f"{verb} {policy.name}", target=policy.pk)
    return policy


@transaction.atomic
def policy_delete(*, policy: Policy, actor: Actor) -> None:
    """Remove a policy, and cut flows that it alone allowed."""
    members = {field: list(getattr(policy, field).all()) for field in MEMBERS}
    audit.record(actor=actor, verb="policy.delete", target=policy, before=_facts(policy, members))
    cut = f"policy.delete {policy.name}" if policy.enabled else None
    config.publish(servers=True, cut=cut, target=policy.pk)
    Policy.objects.filter(pk=policy.pk).delete()
    forget_unused(tag.name for tag in members["tags"])
