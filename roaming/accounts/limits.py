"""Limits of roaming, as functions without I/O: the dialog shows the limits by which the transaction will judge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from console.core.errors import Conflict, Invalid, Refusal
from roaming.networks import first_overlap


@dataclass(frozen=True)
class Side:
    """Side of a roaming: what the limits ask of an instance.

    ``used``: number of client accounts; ``holds_name``: whether an account has the user name that is to come. Both
    count on the destination only.
    """

    name: str
    area: str
    active: bool
    blocks: Sequence[IPv4Network]
    quota: int = 0
    used: int = 0
    holds_name: bool = False


@dataclass(frozen=True)
class Limit:
    """Limit of roaming: ``rule`` says what is asked, ``problem`` why the rule is not kept; empty when the rule is."""

    rule: str
    problem: str
    code: str
    field: str = "instance"

    @property
    def kept(self) -> bool:
        return not self.problem

    def refusal(self) -> Refusal:
        kind = Conflict if self.code == "ClientUser.NotSupportAction" else Invalid
        return kind(self.problem, field=self.field, code=self.code)


def check(username: str, source: Side, target: Side) -> list[Limit]:
    """Return every limit for a copy of ``username`` from ``source`` to ``target``, the gravest first.

    With an empty user name, only limits that hold for the instances, whoever roams between them.
    """
    return list(_limits(username, source, target))


def first_broken(limits: Sequence[Limit]) -> Limit | None:
    return next((limit for limit in limits if not limit.kept), None)


def _limits(username: str, source: Side, target: Side) -> Iterator[Limit]:
    same = f"{target.name} lies in the same area as {source.name}; choose an instance in another area."
    yield Limit(
        "The instance lies in another area",
        same if source.area == target.area else "",
        "InvalidParameter.SameArea",
        "area",
    )
    yield Limit(
        "The instance is available",
        "" if target.active else f"{target.name} is not available at present.",
        "ClientUser.NotSupportAction",
    )
    empty = next((side for side in (target, source) if not side.blocks), None)
    yield Limit(
        "Both instances have private CIDR blocks",
        f"{empty.name} has no private CIDR block yet." if empty else "",
        "SAG.CidrEmpty",
    )
    pair = first_overlap(source.blocks, target.blocks)
    yield Limit(
        "No CIDR block of one overlaps one of the other",
        f"{pair[0]} of {source.name} overlaps {pair[1]} of {target.name}." if pair else "",
        "SAG.CidrOverlap",
    )
    if username:
        taken = f"{target.name} has a client account named {username} already."
        yield Limit("The user name is free there", taken if target.holds_name else "", "ClientUser.UserExist")
    full = f"The quota of {target.quota:,} client accounts of {target.name} is used up."
    yield Limit(
        "The quota has room for one more",
        full if target.used >= target.quota else "",
        "ClientUser.UserOverLimit",
    )
