"""The left navigation, made for each user from the entries that apps contribute (``console.ports.navigation``)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from urllib.parse import urljoin

from django.urls import NoReverseMatch, reverse

from console import ports
from console.core.access import has_role
from console.ports import GROUPS, Entry


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


def groups(user: Any, path: str) -> list[Group]:
    """Return the links that ``user`` may see; the link that ``path`` lies under is marked as current."""
    visible = sorted(
        _visible(user), key=lambda pair: (GROUPS.index(pair[0].group), pair[0].order, pair[0].label)
    )
    current = max((url for entry, url in visible if _holds(entry, url, path)), key=len, default=None)
    result = []
    for name, pairs in groupby(visible, key=lambda pair: pair[0].group):
        heading, _, subheading = name.partition(" ▸ ")
        links = [Link(entry.label, url, url == current) for entry, url in pairs]
        result.append(Group(heading, subheading, links))
    return result


def _visible(user: Any) -> Iterator[tuple[Entry, str]]:
    for url_name, entry in ports.navigation.items():
        if user is None or not has_role(user, entry.role):
            continue
        try:
            yield entry, reverse(url_name)
        except NoReverseMatch:
            continue


def _holds(entry: Entry, url: str, path: str) -> bool:
    """Return whether a page at ``path`` belongs to ``entry``, which leads to ``url``."""
    return any(_lies_under(path, each) for each in (url, *(urljoin(url, other) for other in entry.also)))


def _lies_under(path: str, url: str) -> bool:
    return path == url or (url != "/" and path.startswith(url))
