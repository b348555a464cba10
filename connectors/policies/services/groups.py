"""Writes to user groups, whichever door they come through."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from connectors.policies.membership import Rule
from connectors.policies.models.groups import MOST_RULES, GroupRule, UserGroup
from console.core import audit
from console.core.audit import Actor
from console.core.errors import Conflict, Invalid
from console.core.saving import changed, listed, save, sides
from console.machines import config

if TYPE_CHECKING:
    from roaming.models import ClientAccount

UNCHANGED: Any = object()


def _ids(accounts: "Iterable[ClientAccount]") -> set[str]:
    return {account.pk for account in accounts}


def _rules(group: UserGroup, rules: Iterable[Rule]) -> list[GroupRule]:
    """Make rows of rules, unsaved. Raise ``Invalid`` for an illegal rule, or for too many."""
    wanted = list(dict.fromkeys(rules))
    if len(wanted) > MOST_RULES:
        raise Invalid(f"A group has at most {MOST_RULES:,} rules; {len(wanted):,} were given.", field="rules")
    found = [
        GroupRule(group=group, attribute=rule.attribute, relation=rule.relation, value=rule.value.strip())
        for rule in wanted
    ]
    for rule in found:
        try:
            rule.clean_fields(exclude=["group"])
        except ValidationError as error:
            raise Invalid(f"“{rule}”: {error.messages[0]}", field="rules") from error
    return found


def _written(group: UserGroup) -> list[str]:
    return [str(rule) for rule in group.rules.all()]


@transaction.atomic
def group_create(
    *,
    name: str,
    accounts: "Iterable[ClientAccount]" = (),
    rules: Iterable[Rule] = (),
    description: str = "",
    actor: Actor,
) -> UserGroup:
    """Add a user group. Raise ``Invalid`` for an illegal or taken name, and for an illegal rule."""
    group = save(UserGroup(name=name.strip(), description=description.strip()))
    members = list(accounts)
    group.accounts.set(members)
    GroupRule.objects.bulk_create(_rules(group, rules))
    after = {"name": group.name, "accounts": sorted(_ids(members)), "rules": _written(group)}
    audit.record(actor=actor, verb="user_group.create", target=group, after=after)
    config.publish()
    return group


@transaction.atomic
def group_update(
    *,
    group: UserGroup,
    actor: Actor,
    name: str = UNCHANGED,
    description: str = UNCHANGED,
    accounts: "Iterable[ClientAccount]" = UNCHANGED,
    rules: Iterable[Rule] = UNCHANGED,
) -> UserGroup:
    """Change what is given, and cut flows of accounts that lose their allowance. Raise ``Invalid``."""
    group = UserGroup.objects.select_for_update().get(pk=group.pk)
    given = {"name": name, "description": description}
    differences = changed(
        group, {key: value.strip() for key, value in given.items() if value is not UNCHANGED}
    )
    if differences:
        save(group, *differences)
    removed: set[str] = set()
    if accounts is not UNCHANGED:
        before, after = set(group.accounts.values_list("pk", flat=True)), _ids(members := list(accounts))
        if before != after:
            group.accounts.set(members)
            differences["accounts"] = (sorted(before), sorted(after))
            removed = before - after
    narrowed = bool(removed)
    if rules is not UNCHANGED:
        old = _written(group)
        new = _rules(group, rules)
        if set(old) != {str(rule) for rule in new}:
            group.rules.all().delete()
            GroupRule.objects.bulk_create(new)
            differences["rules"] = (old, _written(group))
            narrowed = narrowed or bool(set(old) - set(differences["rules"][1]))
    if not differences:
        return group
    audit.record(actor=actor, verb="user_group.update", target=group, **sides(differences))
    config.publish(cut=f"user_group.update {group.name}" if narrowed else None, target=group.pk)
    return group


@transaction.atomic
def group_delete(*, group: UserGroup, actor: Actor) -> None:
    """Remove a user group. Raise ``Conflict`` while forwarding policies name the group."""
    policies = list(group.policies.values_list("name", flat=True))
    if policies:
        raise Conflict(
            f"{group.name} cannot be deleted while forwarding policies name it: {listed(policies)}. "
            "Take the user group out of these policies first.",
            code="UserGroupInUse",
        )
    before: dict[str, Any] = {
        "name": group.name,
        "accounts": sorted(group.accounts.values_list("pk", flat=True)),
    }
    before["rules"] = _written(group)
    audit.record(actor=actor, verb="user_group.delete", target=group, before=before)
    config.publish()
    UserGroup.objects.filter(pk=group.pk).delete()


def account_written(row: models.Model) -> None:
    """Publish after roaming wrote an account, in the same transaction: rules may describe it now, or no longer."""
    from roaming.models import ClientAccount

    if isinstance(row, ClientAccount) and GroupRule.objects.filter(group__policies__enabled=True).exists():
        config.publish()
