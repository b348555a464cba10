"""What names client accounts beside this app: said before they are removed.

Apps above register a function in ``AppConfig.ready()`` that looks among their own objects.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import QuerySet

from roaming.accounts.models import ClientAccount


@dataclass(frozen=True)
class Dependant:
    """An object that names some of the accounts. ``kind`` in the singular, "user group"; ``url`` is its page."""

    kind: str
    name: str
    url: str


Finder = Callable[[QuerySet[ClientAccount]], list[Dependant]]
_finders: list[Finder] = []


def contribute(finder: Finder) -> None:
    """``finder`` is given accounts as a query and returns what names any of them, in few queries."""
    _finders.append(finder)


def naming(accounts: QuerySet[ClientAccount]) -> list[Dependant]:
    """Everything that names any of ``accounts`` and will not any more when they are removed."""
    return [dependant for finder in _finders for dependant in finder(accounts)]
