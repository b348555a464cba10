"""User groups: every write."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction

from connectors.models import UserGroup
from connectors.services.saving import changed, listed, save
from console import audit, config
from console.audit import Actor
from console.errors import Conflict

if TYPE_CHECKING:
    from roaming.models import ClientAccount

UNCHANGED: Any = object()


def _ids(accounts: "Iterable[ClientAccount]") -> set[str]:
    return {account.pk for account in accounts}


@transaction.atomic
def group_create(
    *, name: str, accounts: "Iterable[ClientAccount]" = (), description: str = "", actor: Actor
) -> UserGroup:
    """Raises ``Invalid`` for a name that is not legal or taken."""
    group = save(UserGroup(name=name.strip(), description=description.strip()))
    members = list(accounts)
    group.accounts.set(members)
    after = {"name": group.name, "accounts": sorted(_ids(members))}
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
) -> UserGroup:
    """Change what is given. Flows of accounts that lose their allowance are cut. Raises ``Invalid``."""
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
    if not differences:
        return group
    audit.record(
        actor=actor,
        verb="user_group.update",
        target=group,
        before={field: old for field, (old, _) in differences.items()},
        after={field: new for field, (_, new) in differences.items()},
    )
    config.publish(cut=f"user_group.update {group.name}" if removed else None, target=group.pk)
    return group


@transaction.atomic
def group_delete(*, group: UserGroup, actor: Actor) -> None:
    """Raises ``Conflict`` while forwarding policies name it."""
    policies = list(group.policies.values_list("name", flat=True))
    if policies:
        raise Conflict(
            f"{group.name} cannot be deleted while forwarding policies name it: {listed(policies)}. "
            "Take it out of them first.",
            code="UserGroupInUse",
        )
    before = {"name": group.name, "accounts": sorted(group.accounts.values_list("pk", flat=True))}
    audit.record(actor=actor, verb="user_group.delete", target=group, before=before)
    config.publish()
    UserGroup.objects.filter(pk=group.pk).delete()
