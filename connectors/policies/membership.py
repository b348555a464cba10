"""Membership of user groups: the accounts named, and those that a rule of the group describes.

Gateways' configuration and the preview both ask this module, so that they agree. Rules about instances and areas are
answered once an instance; of the others, exact values are looked up and wildcards are one pattern a group.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.policies.models.groups import GroupRule
from roaming.models import ClientAccount, Instance


@dataclass(frozen=True)
class Rule:
    """Rule of a group. ``attribute``: username, email, instance or area; ``*`` in the value stands for any text."""

    attribute: str
    relation: str
    value: str

    @property
    def equal(self) -> bool:
        return self.relation == GroupRule.Relation.EQUAL


@dataclass(frozen=True)
class Person:
    """Account as rules see it, all in lower case."""

    id: str
    username: str
    email: str
    instance: str


def _pattern(values: Iterable[str]) -> str:
    """Make one expression of all values, in which everything but ``*`` stands for itself."""
    return "|".join(".*".join(re.escape(part) for part in value.split("*")) for value in values)


def _matches(rule: Rule, text: str) -> bool:
    return bool(re.fullmatch(_pattern([rule.value.lower()]), text, re.DOTALL)) == rule.equal


@dataclass
class _Texts:
    """Rules of one group about one attribute, sorted by how they are answered."""

    exact: set[str] = field(default_factory=set)
    wild: list[str] = field(default_factory=list)
    unequal: list[Rule] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expression: re.Pattern[str] | None = None

    def close(self) -> None:
        self.expression = re.compile(_pattern(self.wild), re.DOTALL) if self.wild else None

    def describe(self, text: str) -> bool:
        if text in self.exact or (self.expression is not None and self.expression.fullmatch(text)):
            return True
        return any(_matches(rule, text) for rule in self.unequal)


class Description:
    """Rules of one group, prepared once to be asked of many accounts. ``areas``: instance → its area."""

    def __init__(self, rules: Iterable[Rule], areas: dict[str, set[str]]) -> None:
        found = list(rules)
        self.instances = {
            instance
            for instance, own in areas.items()
            if any(
                _matches(rule, instance)
                if rule.attribute == GroupRule.Attribute.INSTANCE
                else any(_matches(rule, area) for area in own)
                if rule.equal
                else all(_matches(rule, a) for a in own)
                for rule in found
                if rule.attribute in (GroupRule.Attribute.INSTANCE, GroupRule.Attribute.AREA)
            )
        }
        self.usernames, self.emails = _Texts(), _Texts()
        tables = {GroupRule.Attribute.USERNAME: self.usernames, GroupRule.Attribute.EMAIL: self.emails}
        for rule in found:
            if table := tables.get(GroupRule.Attribute(rule.attribute)):
                value = rule.value.lower()
                if not rule.equal:
                    table.unequal.append(rule)
                elif "*" in value:
                    table.wild.append(value)
                else:
                    table.exact.add(value)
        for table in tables.values():
            table.close()

    def holds(self, person: Person) -> bool:
        return (
            person.instance in self.instances
            or self.usernames.describe(person.username)
            or self.emails.describe(person.email)
        )


def areas() -> dict[str, set[str]]:
    """Map each instance to the id and the name of its area, in lower case. Run one query."""
    rows = Instance.objects.values_list("pk", "region__area_id", "region__area__name")
    return {pk: {area.lower(), name.lower()} for pk, area, name in rows}


def people() -> Iterator[Person]:
    """Yield every client account, ordered by user name. Run one query."""
    rows = ClientAccount.objects.order_by("username_key", "pk")
    for row in rows.values_list("pk", "username_key", "email_key", "instance_id").iterator(chunk_size=5000):
        yield Person(*row)


def of_groups(groups: Iterable[str]) -> dict[str, set[str]]:
    """Map each group that has rules to the accounts that they describe. Run three queries, or one without any rules."""
    rules: dict[str, list[Rule]] = defaultdict(list)
    rows = GroupRule.objects.filter(group__in=list(groups))
    for group, attribute, relation, value in rows.values_list("group_id", "attribute", "relation", "value"):
        rules[group].append(Rule(attribute, relation, value))
    if not rules:
        return {}
    of_instance = areas()
    descriptions = {group: Description(own, of_instance) for group, own in rules.items()}
    found: dict[str, set[str]] = {group: set() for group in descriptions}
    for person in people():
        for group, description in descriptions.items():
            if description.holds(person):
                found[group].add(person.id)
    return found


@dataclass(frozen=True)
class Preview:
    """Number of accounts that would be in a group, and the first of them as ``user name@instance``."""

    count: int
    shown: list[str]


def preview(accounts: Iterable[ClientAccount], rules: Iterable[Rule], most: int = 50) -> Preview:
    """Find who would be in a group of these accounts and rules; nothing is written."""
    named = {account.pk for account in accounts}
    description = Description(list(rules), areas())
    inside = [person for person in people() if person.id in named or description.holds(person)]
    return Preview(len(inside), [f"{person.username}@{person.instance}" for person in inside[:most]])
