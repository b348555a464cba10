"""Objects of other apps that name client accounts: pages list them before accounts are removed.

Each app above registers a function in ``AppConfig.ready()`` that looks among the app's own objects.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import QuerySet

from roaming.accounts.models import ClientAccount


@dataclass(frozen=True)
class Dependant:
    """Object that names some of the accounts. ``kind`` in the singular, "user group"; ``url``: the object's page."""

    kind: str
    name: str
    url: str


Finder = Callable[[QuerySet[ClientAccount]], list[Dependant]]
_finders: list[Finder] = []


def contribute(finder: Finder) -> None:
    """Register ``finder``, which is given accounts as a query and returns the objects that name any, in few queries."""
    _finders.append(finder)


def naming(accounts: QuerySet[ClientAccount]) -> list[Dependant]:
    """Return every object that names any of ``accounts``, and that loses these names when accounts are removed."""
    return [dependant for finder in _finders for dependant in finder(accounts)]
