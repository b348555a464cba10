"""The left navigation. Apps register their entries in ``AppConfig.ready()``; one without a URL is not shown."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from urllib.parse import urljoin

from django.urls import NoReverseMatch, reverse

from console.access import has_role

OVERVIEW = ""
SAG = "Smart Access Gateway APP"
PRIVATE_ACCESS = "SASE ▸ Private Access"
OPERATIONS = "Operations"
SETTINGS = "Settings"
GROUPS = (OVERVIEW, SAG, PRIVATE_ACCESS, OPERATIONS, SETTINGS)


@dataclass(frozen=True)
class Entry:
    group: str
    label: str
    url_name: str
    order: int
    role: str
    also: tuple[str, ...]

    def holds(self, path: str, url: str) -> bool:
        """Whether a page at ``path`` belongs to this entry, which leads to ``url``."""
        return any(_lies_under(path, each) for each in (url, *(urljoin(url, other) for other in self.also)))


@dataclass(frozen=True)
class Link:
    label: str
    url: str
    current: bool


@dataclass(frozen=True)
class Group:
    """A heading, an optional second heading below it, and the links."""

    heading: str
    subheading: str
    links: list[Link] = field(default_factory=list)


_entries: dict[str, Entry] = {}


def register(
    group: str, label: str, url_name: str, order: int, role: str = "viewer", also: tuple[str, ...] = ()
) -> None:
    """Add an entry to one of the groups above; ``order`` counts within it, ``role`` is the lowest that sees it.

    ``also``: further paths whose pages belong to it, as seen from its own, such as ``../accounts/``.
    """
    if group not in GROUPS:
        raise ValueError(f"Unknown navigation group {group!r}; legal are {GROUPS}.")
    _entries[url_name] = Entry(group, label, url_name, order, role, also)


def groups(user: Any, path: str) -> list[Group]:
    """What ``user`` may see, with the link that ``path`` lies under marked as current."""
    visible = sorted(
        _visible(user), key=lambda pair: (GROUPS.index(pair[0].group), pair[0].order, pair[0].label)
    )
    current = max((url for entry, url in visible if entry.holds(path, url)), key=len, default=None)
    result = []
    for name, pairs in groupby(visible, key=lambda pair: pair[0].group):
        heading, _, subheading = name.partition(" ▸ ")
        links = [Link(entry.label, url, url == current) for entry, url in pairs]
        result.append(Group(heading, subheading, links))
    return result


def _visible(user: Any) -> Iterator[tuple[Entry, str]]:
    for entry in _entries.values():
        if user is None or not has_role(user, entry.role):
            continue
        try:
            yield entry, reverse(entry.url_name)
        except NoReverseMatch:
            continue


def _lies_under(path: str, url: str) -> bool:
    return path == url or (url != "/" and path.startswith(url))


register(OVERVIEW, "Overview", "overview", 0)
register(OPERATIONS, "Gateways", "gateways:list", 10)
register(OPERATIONS, "Tasks", "tasks:list", 15)
register(OPERATIONS, "Audit", "audit:list", 20)
register(SETTINGS, "Message push", "push:list", 10)
register(OPERATIONS, "Django admin", "admin:index", 90, role="administrator")
