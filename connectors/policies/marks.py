"""Marks of what keeps a forwarding policy from acting: its connector, an earlier policy, one of the same priority.

Policies are compared by what they name: groups by themselves, tags by the applications that carry them now. Two queries
answer for all policies.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, F, OuterRef, Value
from django.utils import timezone

from connectors.fleet.models.license import License
from connectors.fleet.selectors import live_tunnels
from connectors.policies.models.policies import Policy

USERS, APPLICATIONS = "users", "applications"


@dataclass(frozen=True)
class Named:
    """Policy that a mark names."""

    id: str
    name: str


@dataclass
class Marks:
    """Marks of one policy. ``connector``: why gateways pass the policy over, or nothing.

    ``shadowed_by``: the usable policy that always comes first. ``ties``: enabled policies of the same priority, of
    which the older goes first.
    """

    connector: str = ""
    shadowed_by: Named | None = None
    ties: list[Named] = field(default_factory=list)


@dataclass
class _Facts:
    id: str
    name: str
    priority: int
    all_users: bool
    all_applications: bool
    connector_enabled: bool
    connector_online: bool
    licensed: bool
    users: set[str] = field(default_factory=set)
    applications: set[str] = field(default_factory=set)

    @property
    def passed_over(self) -> str:
        if not self.licensed:
            return "License expired"
        if not self.connector_enabled:
            return "Disabled"
        return "" if self.connector_online else "Offline"

    def covers(self, other: "_Facts") -> bool:
        """Tell whether everything that matches ``other`` matches this policy as well."""
        users = self.all_users or (not other.all_users and other.users <= self.users)
        return users and (
            self.all_applications or (not other.all_applications and other.applications <= self.applications)
        )


def _facts() -> list[_Facts]:
    """Return the enabled policies in evaluation order. Run two queries, however many policies there are."""
    live = live_tunnels().filter(server__enabled=True, server__connector=OuterRef("connector"))
    rows = Policy.objects.filter(enabled=True).order_by("priority", "created_at", "pk")
    rows = rows.annotate(
        online=Exists(live),
        licensed=~Exists(License.objects.filter(valid_until__lt=timezone.now().date())),
    )
    names = (
        "pk",
        "name",
        "priority",
        "all_users",
        "all_applications",
        "connector__enabled",
        "online",
        "licensed",
    )
    found = [_Facts(*row) for row in rows.values_list(*names)]
    by_id = {facts.id: facts for facts in found}
    for policy, what, member in _members():
        if policy in by_id and member is not None:
            (by_id[policy].users if what == USERS else by_id[policy].applications).add(member)
    return found


def _members() -> Iterable[tuple[str, str, str | None]]:
    """Return (policy, «users» or «applications», member) of everything that policies name. Run one query.

    All three are text, which Django hands through as it is: it would convert a number once a row.
    """
    parts: tuple[tuple[Any, str, str], ...] = (
        (Policy.groups.through, "usergroup_id", USERS),
        (Policy.accounts.through, "clientaccount_id", USERS),
        (Policy.applications.through, "application_id", APPLICATIONS),
        (Policy.tags.through, "tag__applications", APPLICATIONS),
    )
    queries = [
        through.objects.order_by()
        .annotate(what=Value(what), member=F(column))
        .values_list("policy_id", "what", "member")
        for through, column, what in parts
    ]
    return queries[0].union(*queries[1:], all=True)


def marks(wanted: Iterable[str]) -> dict[str, Marks]:
    """Return the marks of the ``wanted`` policies; disabled ones have none."""
    asked = set(wanted)
    if not asked:
        return {}
    found = _facts()
    by_priority: dict[int, list[Named]] = defaultdict(list)
    for facts in found:
        by_priority[facts.priority].append(Named(facts.id, facts.name))
    usable = [(place, facts) for place, facts in enumerate(found) if not facts.passed_over]
    marked: dict[str, Marks] = {}
    for place, facts in enumerate(found):
        if facts.id not in asked:
            continue
        made = marked[facts.id] = Marks(connector=facts.passed_over)
        made.ties = [each for each in by_priority[facts.priority] if each.id != facts.id]
        for earlier_place, earlier in usable:
            if earlier_place >= place:
                break
            if earlier.covers(facts):
                made.shadowed_by = Named(earlier.id, earlier.name)
                break
    return marked
