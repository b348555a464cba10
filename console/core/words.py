"""Audit rows in words: what changed, under the labels that pages have for the fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

NOTHING = "—"
LONGEST = 200
MOST = 10
DEEPEST = 4
EMPTY: tuple[Any, ...] = (None, "", [], {})
OURS = ("console", "roaming", "connectors")


@dataclass(frozen=True)
class Change:
    """A value that changed. ``before`` or ``after`` is None where there was or is no such value."""

    label: str
    before: str | None
    after: str | None


def changes(kind: str, before: Any, after: Any, labels: Mapping[str, str] | None = None) -> list[Change]:
    """Return what differs, in the order in which services name their values; what is and was empty is left out.

    ``labels``: what fields are called on the page at hand, by their names; without one a field has its column's words.
    """
    labels = labels or {}
    old, new = _named(before), _named(after)
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        values = (old.get(name), new.get(name))
        if values[0] == values[1] or all(value in EMPTY for value in values):
            continue
        was = _words(kind, name, old[name]) if name in old else None
        label = labels.get(name.removesuffix("_id")) or labels.get(name.removeprefix("all_"))
        now = _words(kind, name, new[name]) if name in new else None
        found.append(Change(label or _label(kind, name), was, now))
    return found


def sentence(changed: list[Change]) -> str:
    """Write changes in one line, for files."""
    return "; ".join(
        f"{each.label}: {each.before} → {each.after}"
        if each.before is not None and each.after is not None
        else f"{each.label}: {each.before if each.after is None else each.after}"
        for each in changed
    )


@cache
def _models() -> dict[str, type[models.Model]]:
    found = (model for label in OURS for model in apps.get_app_config(label).get_models())
    return {str(model._meta.model_name): model for model in found}


@cache
def kind_label(kind: str) -> str:
    """Return the words for a kind of object: those of its table, else the kind itself."""
    model = _models().get(kind)
    return str(model._meta.verbose_name) if model else kind.replace("_", " ")


@cache
def _field(kind: str, name: str) -> Any:
    model = _models().get(kind)
    fields = {} if model is None else {field.name: field for field in model._meta.get_fields()}
    return fields.get(name)


def _label(kind: str, name: str) -> str:
    field = _field(kind, name)
    text = str(getattr(field, "verbose_name", "") or name).replace("_", " ").strip() or name
    return text[:1].upper() + text[1:80]


def _words(kind: str, name: str, value: Any) -> str:
    choices = dict(getattr(_field(kind, name), "flatchoices", None) or ())
    if isinstance(value, str) and value in choices:
        return str(choices[value])
    return _short(_text(value))


def _text(value: Any, depth: int = 0) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list) and depth == DEEPEST:
        return "…"
    if isinstance(value, dict):
        return _listed([f"{name}: {_text(each, depth + 1)}" for name, each in value.items()])
    if isinstance(value, list):
        return _listed([_text(each, depth + 1) for each in value])
    return str(value)


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return (", ".join(texts[:MOST]) or "none") + more


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _named(values: Any) -> dict[str, Any]:
    if isinstance(values, dict):
        return {str(name): value for name, value in values.items()}
    return {} if values is None else {"value": values}
