"""Effect of a connector on users: who reaches what through it now, and by which other connector without it.

Bits are those of ``edge.access.snapshot``: bit ``n`` is the policy at place ``n`` of the evaluation order, and the
lowest bit of ``users & applications & usable`` is the policy that decides. Accounts, and applications, that the same
policies name are taken together, so that the cost follows the policies and not the people.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors import snapshot
from connectors.applications.models import Application
from connectors.fleet import licensing
from connectors.fleet.models.connectors import Connector
from connectors.fleet.selectors import online
from console.core.folding import fold
from edge.protocol.configuration import ALL, Policy
from roaming.models import ClientAccount


@dataclass
class ApplicationEffect:
    """Effect on one application. ``loses``: users whom no connector takes there; ``moves``: connector id → users."""

    id: str
    name: str
    loses: int = 0
    moves: Counter[str] = field(default_factory=Counter)


@dataclass
class Effect:
    """Effect of switching a connector off. ``users``: how many notice; ``losing``: how many lose an application."""

    users: int = 0
    losing: int = 0
    moving: Counter[str] = field(default_factory=Counter)
    applications: list[ApplicationEffect] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Count the applications that somebody loses."""
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
    """Read the world in a fixed number of queries; a connector is usable when it is on, licensed and online."""
    policies = snapshot.policies()
    groups = snapshot.groups({group for policy in policies for group in policy.groups})
    usable = usable_connectors({policy.connector for policy in policies})
    made = World([policy.connector for policy in policies], 0, {}, 0, {}, 0)
    for place, policy in enumerate(policies):
        bit = 1 << place
        if policy.connector in usable:
            made.usable |= bit
        if policy.users == ALL:
            made.any_user |= bit
        _set(made.accounts, _accounts(policy, groups), bit)
        if policy.applications == ALL:
            made.any_application |= bit
        _set(made.applications, policy.application_ids, bit)
    return made


def usable_connectors(connectors: set[str]) -> set[str]:
    """Return the connectors for which gateways pass no policy over. Run three queries, however many there are."""
    if not licensing.is_valid():
        return set()
    on = set(Connector.objects.filter(pk__in=connectors, enabled=True).values_list("pk", flat=True))
    return on & online(on)


def _accounts(policy: Policy, groups: dict[str, list[str]]) -> Iterator[str]:
    yield from policy.accounts
    for group in policy.groups:
        yield from groups[group]


def _set(table: dict[str, int], keys: Iterable[str], bit: int) -> None:
    for key in keys:
        table[key] = table.get(key, 0) | bit


def _first(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def without(connector: Connector) -> Effect:
    """Count what switching ``connector`` off takes away and moves, of enabled accounts and enabled applications."""
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
    effect.applications = sorted(found.values(), key=lambda each: (-each.loses, fold(each.name)))
    return effect


def _application_classes(now: World) -> dict[int, list[tuple[str, str]]]:
    """Map policies' bits to the applications (id, name) that exactly these policies cover."""
    classes: dict[int, list[tuple[str, str]]] = defaultdict(list)
    carried = Application.objects.filter(enabled=True).exclude(protocol=Application.Protocol.UDP)
    for pk, name in carried.order_by("name__fold").values_list("pk", "name"):
        bits = now.any_application | now.applications.get(pk, 0)
        if bits & now.usable:
            classes[bits].append((pk, name))
    return classes
