"""Forms that were overtaken: who changed what meanwhile, and for each field the choice between both values.

Nothing here knows a form by name. A form says what it shows by its ``initial`` values; the page carries a hash of each
(``was``), so that a value which the person changed is told from one that only others have changed.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from console.core import words
from console.core.models.audit import AuditRow
from console.core.versions import Stale

TOKEN, BASED_ON, WAS = "submission", "based_on", "was"
OWN = ("csrfmiddlewaretoken", TOKEN)
KEEP, THEIRS = "keep.", "theirs."
MOST_SHOWN = 10
NOTHING = "—"


@dataclass(frozen=True)
class Choice:
    """A field of which both have another value. ``raw``: the other's value as a form sends it, in JSON.

    ``mine_first``: whether the own value is chosen beforehand, since its field was changed by the person.
    """

    name: str
    label: str
    mine: str
    theirs: str
    raw: str
    mine_first: bool


@dataclass(frozen=True)
class Told:
    """A change by somebody else, in the words of the form."""

    row: AuditRow
    changes: list[words.Change]


@dataclass(frozen=True)
class Overtaken:
    """What the page of a refused form shows above the fields."""

    told: list[Told]
    choices: list[Choice]


def told(rows: list[AuditRow], labels: dict[str, str] | None = None) -> list[Told]:
    """Return changes with their fields as ``labels`` call them, by the names that services use."""
    return [Told(row, words.changes(row.target_kind, row.before, row.after, labels or {})) for row in rows]


def overtaken(form: forms.BaseForm, refusal: Stale) -> Overtaken:
    """Compare what a bound form says with what its object has now."""
    before = _hashes(form.data.get(WAS, ""))
    choices = []
    for name, field in form.fields.items():
        if not _comparable(field):
            continue
        bound = form[name]
        mine, theirs = _sent(form, bound.html_name), _drawn(form, name)
        if _norm(mine) != _norm(theirs):
            mine_first = before.get(name) != _hash(mine)
            values = (_shown(field, mine), _shown(field, theirs), json.dumps(theirs), mine_first)
            choices.append(Choice(bound.html_name, str(bound.label), *values))
    labels = {name: str(form[name].label) for name in form.fields}
    return Overtaken(told(refusal.rows, labels), choices)


def was(form: forms.BaseForm) -> str:
    """Return the hashes of what a form's object has now, for the page that shows the form."""
    names = (name for name, field in form.fields.items() if _comparable(field))
    return " ".join(f"{name}={_hash(_drawn(form, name))}" for name in names)


def chosen(posted: QueryDict) -> QueryDict:
    """Return a POST in which each field that was chosen to be *theirs* has the other's value."""
    if not any(name.startswith((KEEP, THEIRS)) for name in posted):
        return posted
    made = QueryDict(mutable=True, encoding=posted.encoding)
    for name, values in posted.lists():
        if not name.startswith((KEEP, THEIRS)):
            made.setlist(name, values)
    for name in [each.removeprefix(KEEP) for each in posted if each.startswith(KEEP)]:
        if posted[KEEP + name] == "theirs":
            made.setlist(name, _list(posted.get(THEIRS + name, "")))
    made._mutable = False
    return made


def carried(posted: QueryDict) -> list[tuple[str, str]]:
    """Return what a refused action said, for a form that asks for it once more; secrets are left out."""
    own = (*OWN, BASED_ON, WAS)
    pairs = [(name, value) for name, values in posted.lists() for value in values if name not in own]
    return [(name, value) for name, value in pairs if "password" not in name and "secret" not in name]


def _list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def _comparable(field: forms.Field) -> bool:
    kind = getattr(field.widget, "input_type", "")
    several = isinstance(field.widget, forms.MultiWidget)
    return kind not in ("password", "file", "hidden") and not field.disabled and not several


def _sent(form: forms.BaseForm, name: str) -> list[str]:
    data: Any = form.data
    return [str(each) for each in (data.getlist(name) if hasattr(data, "getlist") else [data.get(name, "")])]


def _drawn(form: forms.BaseForm, name: str) -> list[str]:
    """Return the initial value of a field as a page that nobody touches sends it."""
    field = form.fields[name]
    value = form.get_initial_for_field(field, name)
    widget: Any = getattr(field.widget, "widget", field.widget)  # Django admin wraps widgets of relations
    if isinstance(widget, forms.CheckboxInput):
        return ["on"] if widget.check_test(value) else []
    if isinstance(value, list | tuple | set) and not isinstance(field, forms.MultiValueField):
        return [str(getattr(each, "pk", each)) for each in value]
    text = widget.format_value(field.prepare_value(value))
    if isinstance(text, list | tuple):
        return [str(each) for each in text]
    return ["" if text is None else str(text)]


def _norm(values: list[str]) -> list[str]:
    """Return values as they compare: without blank ones, in any order, with one kind of line end."""
    return sorted(text for each in values if (text := each.replace("\r\n", "\n").strip()))


def _hash(values: list[str]) -> str:
    return hashlib.sha256("\0".join(_norm(values)).encode("utf-8", "replace")).hexdigest()[:12]


def _hashes(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in text.split())}


def _shown(field: Any, values: list[str]) -> str:
    """Write values as the form does: by the words of its choices, and the first few of many."""
    kept = [each for each in values if each.strip()]
    if isinstance(field, forms.BooleanField):
        attrs = field.widget.attrs
        return str(attrs.get("on", "Enabled") if kept else attrs.get("off", "Disabled"))
    names = _names(field, kept)
    shown = [str(names.get(each, each)) for each in kept]
    more = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
    return ", ".join(shown[:MOST_SHOWN]) + more if shown else NOTHING


def _names(field: Any, values: list[str]) -> dict[str, Any]:
    named = getattr(field, "named", None)
    if named is not None:
        return dict(named(values))
    if isinstance(field, forms.ModelChoiceField):
        legal = [each for each in values if "\0" not in each]
        try:
            return {str(row.pk): row for row in field.queryset.filter(pk__in=legal[:MOST_SHOWN])}  # type: ignore[union-attr]
        except (ValueError, TypeError):
            return {}
    choices = getattr(field, "choices", ())
    return {str(value): label for value, label in choices if not isinstance(label, list | tuple)}
