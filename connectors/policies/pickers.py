"""Pickers, to choose among thousands: what is chosen, and the first few that match a search."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from connectors.applications.models import Application, Tag
from connectors.fleet.models.connectors import Connector
from connectors.policies import naming
from connectors.policies.models.groups import UserGroup
from roaming.models import ClientAccount

MOST = 20
KINDS: dict[str, Any] = {
    "groups": UserGroup,
    "applications": Application,
    "tags": Tag,
    "connector": Connector,
    "accounts": ClientAccount,
}


@dataclass(frozen=True)
class Picker:
    """State of a picker. ``choices``: (id, name), chosen ones first; ``more``: whether others match, not shown."""

    name: str
    text: str
    chosen: list[str]
    choices: list[tuple[str, str]]
    more: bool


def pick(name: str, chosen: Iterable[str], text: str = "") -> Picker:
    """Find choices whose name holds ``text`` or whose id it is; accounts are shown only for a text. Run two queries."""
    if name == "accounts":
        return _accounts(chosen, text)
    rows: QuerySet = KINDS[name].objects.order_by("name__fold", "pk")
    text = " ".join(text.replace("\0", " ")[:200].split())
    wanted = [each.replace("\0", "") for each in chosen if each]
    first = list(rows.filter(pk__in=wanted).values_list("pk", "name")) if wanted else []
    others = rows.exclude(pk__in=[pk for pk, _ in first])
    if text:
        others = others.filter(Q(name__folded=text) | Q(pk=text))
    found = list(others.values_list("pk", "name")[: MOST + 1])
    return Picker(name, text, [pk for pk, _ in first], first + found[:MOST], len(found) > MOST)


def _accounts(chosen: Iterable[str], text: str) -> Picker:
    """Find accounts. ``chosen``: what a form sent, in which written lines may stand beside ids."""
    ids = [each for each in chosen if each.startswith("user-")]
    rows = ClientAccount.objects.filter(pk__in=ids).order_by("username_key", "pk") if ids else None
    first = (
        [naming.written(*row) for row in rows.values_list("pk", "username", "instance_id")] if rows else []
    )
    found = naming.find(text, MOST + 1, without=[pk for pk, _ in first])
    return Picker("accounts", text, [pk for pk, _ in first], first + found[:MOST], len(found) > MOST)
