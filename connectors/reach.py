"""Who reaches what through a connector now, and by which other one without it.

The same bits as in ``edge.snapshot``: bit ``n`` is the policy at place ``n`` of the evaluation order, and the lowest
bit of ``users & applications & usable`` is the policy that decides. Accounts, and applications, that the same policies
name are taken together, so that the cost follows the policies and not the people.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors import licensing, selectors, snapshot
from connectors.models import Application, Connector
from roaming.models import ClientAccount


@dataclass
class ApplicationEffect:
    """``loses``: users whom no other connector takes there; ``moves``: connector id → users it takes."""

    id: str
    name: str
    loses: int = 0
    moves: Counter[str] = field(default_factory=Counter)


@dataclass
class Effect:
    """What switching a connector off does. ``users``: affected in any way; ``losing``: who lose an application."""

    users: int = 0
    losing: int = 0
    moving: Counter[str] = field(default_factory=Counter)
    applications: list[ApplicationEffect] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many applications somebody loses."""
        return sum(1 for each in self.applications if each.loses)


@dataclass
class World:
    """Policies in evaluation order, and which of them name an account or an application, as bits."""

    connectors: list[str]
    any_user: int
    accounts: dict[str, int]
    any_application: int
    applications: dict[str, int]
    usable: int

    def through(self, connector: str) -> int:
        return sum(1 << place for place, each in enumerate(self.connectors) if each == connector)


def world() -> World:
    """As it is now; a connector is usable when it is on, licensed and online. A fixed number of queries."""
    policies = snapshot.policies()
    groups = snapshot.groups({group for policy in policies for group in policy["groups"]})
    usable = usable_connectors({policy["connector"] for policy in policies})
    made = World([policy["connector"] for policy in policies], 0, {}, 0, {}, 0)
    for place, policy in enumerate(policies):
        bit = 1 << place
        if policy["connector"] in usable:
            made.usable |= bit
        if policy["users"] == "all":
            made.any_user |= bit
        _set(made.accounts, _accounts(policy, groups), bit)
        if policy["applications"] == "all":
            made.any_application |= bit
        _set(made.applications, policy["application_ids"], bit)
    return made


def usable_connectors(connectors: set[str]) -> set[str]:
    """Those that a policy is not passed over for. Three queries."""
    if not licensing.is_valid():
        return set()
    on = set(Connector.objects.filter(pk__in=connectors, enabled=True).values_list("pk", flat=True))
    return on & selectors.online(on)


def _accounts(policy: dict[str, Any], groups: dict[str, list[str]]) -> Iterator[str]:
    yield from policy["accounts"]
    for group in policy["groups"]:
        yield from groups[group]


def _set(table: dict[str, int], keys: Iterable[str], bit: int) -> None:
    for key in keys:
        table[key] = table.get(key, 0) | bit


def _first(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def without(connector: Connector) -> Effect:
    """What switching ``connector`` off takes away and moves, counting enabled accounts and enabled applications."""
    now = world()
    gone = now.through(connector.pk)
    users = Counter(
        now.accounts.get(pk, 0) | now.any_user
        for pk in ClientAccount.objects.filter(enabled=True).values_list("pk", flat=True).iterator()
    )
    effect = Effect()
    found: dict[str, ApplicationEffect] = {}
    classes = _application_classes(now)
    for user_bits, number in users.items():
        losing, moving = False, set()
        for application_bits, applications in classes.items():
            fitting = user_bits & application_bits & now.usable
            if not fitting or not (1 << _first(fitting)) & gone:
                continue
            rest = fitting & ~gone
            target = now.connectors[_first(rest)] if rest else None
            for pk, name in applications:
                each = found.setdefault(pk, ApplicationEffect(pk, name))
                if target is None:
                    each.loses += number
                else:
                    each.moves[target] += number
            losing = losing or target is None
            if target is not None:
                moving.add(target)
        if losing or moving:
            effect.users += number
            effect.losing += number if losing else 0
            effect.moving.update(dict.fromkeys(moving, number))
    effect.applications = sorted(found.values(), key=lambda each: (-each.loses, each.name))
    return effect


def _application_classes(now: World) -> dict[int, list[tuple[str, str]]]:
    """Policies' bits → the applications (id, name) that exactly these cover."""
    classes: dict[int, list[tuple[str, str]]] = defaultdict(list)
    carried = Application.objects.filter(enabled=True).exclude(protocol=Application.Protocol.UDP)
    for pk, name in carried.order_by("name").values_list("pk", "name"):
        bits = now.any_application | now.applications.get(pk, 0)
        if bits & now.usable:
            classes[bits].append((pk, name))
    return classes
