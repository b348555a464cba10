"""What pages say of themselves: the forms that they hold, with fields and legal values, and the links' parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from django.forms import BaseForm

import connectors
import console
import roaming

ASKED = re.compile(r'GET(?:\.get|\.getlist)?[(\[]"(\w+)"')
CALLS = ("hx-post", "hx-get", "hx-put", "hx-delete")


@dataclass
class Form:
    """A form of a page: where it goes, and each field with the values that it offers.

    ``files``: fields of a file; ``buttons``: of a button, which a browser sends when it is pressed.
    """

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    buttons: set[str] = field(default_factory=set)


class Reader(HTMLParser):
    """Reader of one page: its ``forms``, each under its action, and the parameters of its ``links``."""

    def __init__(self, own: str) -> None:
        super().__init__()
        self._own, self._form, self._select = own, Form(own), ""
        self.forms = [self._form]
        self.links: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in ("href", *CALLS):
            self._link(given.get(name, ""))
        calls = [given[name] for name in CALLS if given.get(name)]
        if tag == "form":
            self._form = Form(given.get("action") or (calls or [self._own])[0])
            self.forms.append(self._form)
        elif calls:
            self.forms.append(Form(calls[0]))
        elif tag in ("input", "select", "textarea", "button"):
            self._field(tag, given)
        elif tag == "option" and self._select:
            self._form.fields[self._select].append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = self.forms[0]
        if tag == "select":
            self._select = ""

    def _field(self, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if not name or name == "csrfmiddlewaretoken":
            return
        values = self._form.fields.setdefault(name, [])
        if given.get("type") == "file":
            self._form.files.add(name)
        if tag == "button" or given.get("type") == "submit":
            self._form.buttons.add(name)
        if tag == "select":
            self._select = name
        elif given.get("value"):
            values.append(given["value"])

    def _link(self, url: str) -> None:
        for name, value in parse_qsl(urlsplit(url).query) if not url.startswith("http") else ():
            self.links.setdefault(name, []).append(value)


def read(own: str, page: str) -> Reader:
    """Read the page at the address ``own``."""
    reader = Reader(own)
    reader.feed(page)
    return reader


def asked_names() -> list[str]:
    """Return the names of parameters that views ask a query string for."""
    roots = [Path(module.__file__ or "").parent for module in (console, roaming, connectors)]
    files = (file for root in roots for file in root.rglob("*.py"))
    return sorted({name for file in files for name in ASKED.findall(file.read_text(encoding="utf-8"))})


def field_names() -> list[str]:
    """Return the names of the fields of every form class."""
    classes, names = [BaseForm], set()
    while classes:
        each = classes.pop()
        classes += each.__subclasses__()
        names |= set(getattr(each, "base_fields", ()))
    return sorted(names)
