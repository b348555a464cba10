"""Form fields that name client accounts or describe them by rules, and forms that choose among thousands."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from connectors.form_fields import LINES
from connectors.policies import naming
from connectors.policies.membership import Rule
from connectors.policies.models.groups import GroupRule
from connectors.policies.pickers import Picker, pick
from roaming.models import ClientAccount

MOST_ACCOUNTS = 2000


class _Several(forms.Textarea):
    """Text area that takes lines and, under the same name, what was ticked beside it."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return list(data.getlist(name)) if hasattr(data, "getlist") else list(filter(None, [data.get(name)]))


class AccountsField(forms.Field):
    """Client accounts, ticked (by id) or written one a line as ``user name@instance id``; cleans to a list of them."""

    widget = _Several(LINES)

    def clean(self, value: Any) -> list[ClientAccount]:
        ticked, lines = _sorted_out(value)
        if len(ticked) + len(lines) > MOST_ACCOUNTS:
            raise ValidationError(
                f"At most {MOST_ACCOUNTS:,} accounts by name; describe the others by rules."
            )
        found = naming.named({*ticked, *(text for _, text in lines)})
        for number, text in lines:
            if text.lower() not in found:
                raise ValidationError(
                    f"Line {number}: there is no client account “{text[:80]}”. Write user name@instance ID, or its ID."
                )
        if gone := [text for text in ticked if text not in found]:
            raise ValidationError(f"There is no client account “{gone[0][:80]}” (any more).")
        chosen = [found[text.lower()] for text in [*ticked, *(text for _, text in lines)]]
        return list({account.pk: account for account in chosen}.values())

    def named(self, values: Iterable[str]) -> dict[str, str]:
        """Return the names of accounts by their ids, for a choice between two people's accounts."""
        ids = [value for value in values if is_id(value)]
        rows = ClientAccount.objects.filter(pk__in=ids[:20]).values_list("pk", "username", "instance_id")
        return dict(naming.written(*row) for row in rows)

    def prepare_value(self, value: Any) -> str:
        """Return what was written, for the text area; the picker shows what was ticked."""
        return "\n".join(each for each in value or () if isinstance(each, str) and not is_id(each))


def is_id(text: str) -> bool:
    """Tell whether a text is an account's id, as a picker sends it."""
    return text.startswith("user-") and "@" not in text and text.isprintable() and " " not in text


def _sorted_out(values: Iterable[str] | None) -> tuple[list[str], list[tuple[int, str]]]:
    """Return what was ticked, and the (number, text) of the lines that were written."""
    ticked, lines = [], []
    for value in values or ():
        if is_id(value):
            ticked.append(value)
        else:
            numbered = enumerate(value.splitlines(), start=1)
            lines += [(number, line.strip()) for number, line in numbered if line.strip()]
    return ticked, lines


class RulesField(forms.CharField):
    """Rules, one a line as ``email Equal *@corp.example``; cleans to a list of them."""

    widget = forms.Textarea(LINES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def clean(self, value: Any) -> list[Rule]:
        found: dict[Rule, int] = {}
        for number, line in enumerate(super().clean(value).splitlines(), start=1):
            if not line.strip():
                continue
            rule = _rule(number, line)
            if rule in found:
                raise ValidationError(f"Line {number}: this rule was given before, in line {found[rule]}.")
            found[rule] = number
        return list(found)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        return "\n".join(str(rule) for rule in value)


def _rule(number: int, line: str) -> Rule:
    """Read one line. Raise ``ValidationError`` that names a wrong one."""
    attribute, relation, value = [*line.split(maxsplit=2), "", "", ""][:3]
    attributes, relations = GroupRule.Attribute.values, GroupRule.Relation.values
    known = {each.lower(): each for each in relations}
    if attribute.lower() not in attributes:
        raise ValidationError(f"Line {number}: begin with one of {', '.join(attributes)}.")
    if relation.lower() not in known:
        raise ValidationError(f"Line {number}: after {attribute.lower()} write Equal or Unequal.")
    value = value.strip()
    if not 1 <= len(value) <= 128:
        raise ValidationError(f"Line {number}: end with a value of 1 to 128 characters.")
    return Rule(attribute.lower(), known[relation.lower()], value)


class PickingForm(forms.Form):
    """Form whose pickers show what is chosen and what a search finds; without scripts, «Find» asks for it again."""

    pickers: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    """Names of the fields that take several values."""

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, Any] | None = None) -> None:
        typed, initial = data, initial or {}
        if data is not None and "find" in data:
            initial, data = self._as_typed(data), None
        super().__init__(data, initial=initial)
        for name in self.pickers:
            chosen = _values(typed.getlist(name)) if typed is not None else _values(initial.get(name))
            text = typed.get(f"find_{name}", "") if typed is not None else ""
            self._offer(name, pick(name, chosen, text))

    def _offer(self, name: str, picker: Picker) -> None:
        field: Any = self.fields[name]
        field.picker = picker
        if isinstance(field, forms.ModelChoiceField):
            empty = [("", "Select a connector")] if name == "connector" else []
            field.choices = empty + picker.choices

    def _as_typed(self, data: QueryDict) -> dict[str, Any]:
        """Return what was typed, for a form that is shown again without being judged."""
        typed: dict[str, Any] = {}
        for name, field in self.base_fields.items():
            if isinstance(field, forms.BooleanField):
                typed[name] = name in data
            else:
                typed[name] = data.getlist(name) if name in self.several else data.get(name, "")
        return typed


def _values(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [value] if value else []
