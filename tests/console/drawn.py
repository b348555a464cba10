"""Forms of a page as a browser sends them: every field with the value that the page gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from tests.responses import Response

Pairs = list[tuple[str, str]]


@dataclass
class Drawn:
    """A form that writes. ``pairs``: what an untouched form sends, but for its buttons.

    ``offered``: the values of fields that let choose.
    """

    action: str
    pairs: Pairs = field(default_factory=list)
    offered: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return dict(self.pairs).get(name, "")

    def sent(self, **changes: Any) -> dict[str, list[str]]:
        """Return the form's values with ``changes``; a list stands for several values, None for none."""
        found: dict[str, list[str]] = {}
        for name, value in self.pairs:
            found.setdefault(name, []).append(value)
        for name, value in changes.items():
            found[name] = value if isinstance(value, list) else [] if value is None else [str(value)]
        return found

    def filled(
        self, usual: dict[str, tuple[str, ...]], leave: Iterable[str] = (), anyway: Iterable[str] = ()
    ) -> dict[str, list[str]]:
        """Return the form's values with what is empty filled in: by a usual value, else by one that is offered.

        ``leave``: fields that stay empty; ``anyway``: fields that get the usual value even where they have another.
        """
        changes: dict[str, Any] = {}
        for name in {name for name, _ in self.pairs} | set(self.offered):
            legal = [value for value in self.offered.get(name, []) if value]
            if name in anyway:
                changes[name] = usual[name][0]
            elif self.get(name) or name in leave:
                continue
            elif name in usual and not legal:
                changes[name] = usual[name][0]
            elif legal:
                changes[name] = legal[0]
        return self.sent(**changes)


class _Reader(HTMLParser):
    def __init__(self, own: str) -> None:
        super().__init__()
        self.own, self.forms = own, []  # type: ignore[var-annotated]
        self._form: Drawn | None = None
        self._area: str = ""
        self._text = ""
        self._select, self._chosen = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Drawn(given.get("action") or self.own)
            if given.get("method", "").lower() == "post":
                self.forms.append(self._form)
        if self._form is None:
            return
        name, kind = given.get("name", ""), given.get("type", "")
        if name and (tag == "select" or kind in ("checkbox", "radio")):
            self._form.offered.setdefault(name, [])
        if tag == "input" and kind in ("checkbox", "radio") and name:
            self._form.offered[name].append(given.get("value", "on"))
        if tag == "input" and name and kind not in ("file", "submit", "button"):
            if kind not in ("checkbox", "radio") or "checked" in given:
                value = given.get("value", "on" if kind == "checkbox" else "")
                self._form.pairs.append((name, value))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._chosen = name, False
        elif tag == "option" and self._select:
            self._option(given)

    def _option(self, given: dict[str, str]) -> None:
        """Note an option; a browser sends the first one where none is selected."""
        assert self._form is not None
        value, offered = given.get("value", ""), self._form.offered[self._select]
        offered.append(value)
        if len(offered) == 1 or ("selected" in given and not self._chosen):
            self._form.pairs = [pair for pair in self._form.pairs if pair[0] != self._select]
        if len(offered) == 1 or "selected" in given:
            self._form.pairs.append((self._select, value))
            self._chosen = self._chosen or "selected" in given

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._form is not None and self._area:
            self._form.pairs.append((self._area, self._text.removeprefix("\n")))
            self._area = ""
        elif tag == "select":
            self._select = ""


def forms(answer: Response, own: str) -> list[Drawn]:
    """Return the forms of a page that write."""
    reader = _Reader(own)
    reader.feed(answer.content.decode())
    return reader.forms


def own(answer: Response, url: str) -> Drawn:
    """Return the form of a page that is sent to ``url``."""
    path = url.partition("?")[0]
    return next(each for each in forms(answer, url) if each.action.partition("?")[0] == path)


def form(client: Client, url: str, action: str = "") -> Drawn:
    """Open a page and return its form with ``action``, else the one that is sent to the page's own address."""
    answer = client.get(url)
    assert answer.status_code == 200, answer.content
    found = [
        each
        for each in forms(answer, url)
        if each.action.partition("?")[0] == (action or url).partition("?")[0]
    ]
    assert found, answer.text
    return found[0]
