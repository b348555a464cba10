"""Every URL of the console, from its map, with what is known of it: fields, parameters and the kinds of its ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

from django.contrib import admin
from django.test import Client
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from tests.fuzz import forms, values

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
KINDS = (
    "email",
    "webhook",
    "dingtalk",
    "accounts",
    "applications",
    "tags",
    "drift",
    "bandwidth",
    "latency",
    "offline",
)
ADMIN_NAMES = (
    *(
        "q",
        "o",
        "p",
        "e",
        "all",
        "_facets",
        "_popup",
        "_to_field",
        "_changelist_filters",
        "_saveasnew",
        "_continue",
    ),
    *(
        "id__in",
        "pk",
        "password__regex",
        "enabled__exact",
        "role__exact",
        "heard_at__gte",
        "time__year",
        "_save",
        "post",
    ),
    *(
        "action",
        "_selected_action",
        "index",
        "select_across",
        "term",
        "app_label",
        "model_name",
        "field_name",
    ),
)
# Pages that say nothing of fields, or end the session of their reader.
UNREAD = ("log-out/", "logout/", "/history/", "<path:object_id>/", "<path:object_id>/delete/")
Ids = dict[str, Any]


@dataclass(eq=False)
class Target:
    """A URL of the map. ``fields``: of its forms → values that they offer; ``query``: parameters → known values."""

    path: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    buttons: set[str] = field(default_factory=set)
    query: dict[str, list[str]] = field(default_factory=dict)

    @property
    def door(self) -> str:
        return next((name for name in ("admin", "edge") if self.path.startswith(f"/{name}/")), "pages")

    @cached_property
    def takes_away(self) -> bool:
        """Tell whether a POST leaves less to try for the requests that follow."""
        return bool(re.search(r"/(delete|remove|discard|log-out|logout|stop|kick)/$", self.path))

    def url(self, ids: Ids) -> str:
        """Return its address for the objects of a world."""
        return self._filled(lambda name: quote(str(self._usual(name, ids)), safe=""))

    def absurd_url(self, rng: Random, ids: Ids) -> str:
        """Return its address with one id or more that nothing has."""

        def given(name: str) -> str:
            usual = str(self._usual(name, ids))
            if rng.random() < 0.4:
                return quote(usual, safe="")
            wrong = rng.choice((*values.NUMBERS, *values.TEXTS, *map(str, ids.values())))
            return quote(
                values.encoded(values.text(rng, usual) if rng.random() < 0.5 else wrong)[:6000], safe=""
            )

        url = self._filled(given)
        return rng.choice(
            (url, url, url.rstrip("/"), url + "/", url + "%ff", url.replace("/", "//"), url.upper())
        )

    def _filled(self, given: Any) -> str:
        return PARAMETER.sub(lambda found: given(found[2]), self.path)

    def _usual(self, name: str, ids: Ids) -> Any:
        parts = self.path.split("/")
        own = f"{parts[2]}.{parts[3]}" if self.door == "admin" and len(parts) > 3 else ""
        return ids.get(own, ids.get(name, "1"))


def admin_ids() -> Ids:
    """Return the first object of each model in Django admin, under ``app.model``."""
    found = {model: model._default_manager.first() for model in admin.site._registry}
    return {
        f"{model._meta.app_label}.{model._meta.model_name}": row.pk for model, row in found.items() if row
    }


def everywhere() -> list[Target]:
    """Return a target for every URL of the map."""
    paths = dict.fromkeys(_paths(get_resolver().url_patterns, "/"))
    return [Target(path) for path in paths if "(?P" not in path] + [
        Target("/admin/console/"),
        Target("/nowhere/"),
    ]


def _paths(patterns: list[Any], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path


class Map:
    """Targets with what the pages say of them, read once for a world as a user who sees everything."""

    def __init__(self, client: Client, ids: Ids) -> None:
        self.targets = everywhere()
        self.names = {"pages": [*forms.asked_names(), *forms.field_names()], "admin": list(ADMIN_NAMES)}
        self._by_path = {target.path: target for target in self.targets}
        # Ids of this world become names, so that another world fills in its own.
        self._named = sorted(((str(pk), name) for name, pk in ids.items() if len(str(pk)) > 8), reverse=True)
        for target in self.targets:
            if target.door != "edge" and not target.path.endswith(UNREAD):
                self._read(client, target, target.url(ids))

    def of(self, door: str) -> list[Target]:
        return [target for target in self.targets if target.door == door]

    def _read(self, client: Client, target: Target, url: str) -> None:
        answer = client.get(url)
        if answer.streaming or "html" not in answer.get("Content-Type", ""):
            return
        found = forms.read(url, answer.text)
        for name, known in found.links.items():
            target.query.setdefault(name, []).extend(self._neutral(known))
        for form in found.forms:
            goes_to = self._target(form.action, url)
            for name, known in form.fields.items():
                goes_to.fields.setdefault(name, []).extend(self._neutral(known))
                goes_to.query.setdefault(name, []).extend(self._neutral(known))
            goes_to.files |= form.files
            goes_to.buttons |= form.buttons

    def _target(self, action: str, url: str) -> Target:
        path = urlsplit(action).path or urlsplit(url).path
        try:
            route = "/" + resolve(path).route
        except Resolver404:
            route = ""
        return self._by_path.get(route) or self._by_path["/nowhere/"]

    def _neutral(self, known: list[str]) -> list[str]:
        for pk, name in self._named:
            known = [text.replace(pk, f"\x02{name}\x03") for text in known]
        return known


def filled(text: str, ids: Ids) -> str:
    """Return a known value with the ids of a world in the places of the names."""
    return re.sub("\x02(.*?)\x03", lambda found: str(ids.get(found[1], "")), text)
