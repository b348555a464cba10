"""Writes of rows by services: the row is checked, then the fields that are meant are written; a refusal is a sentence.

A constraint that only the database could see, because somebody else wrote the same at that moment, ends as the sentence
of that constraint, and not as an error of the database.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from console import ports
from console.core.errors import Conflict, Invalid

M = TypeVar("M", bound=models.Model)


def clean(row: models.Model, fields: Iterable[str] | None = None) -> None:
    """Check the row, or only its ``fields``. Raises ``Invalid`` for the first field that is not legal."""
    exclude = None if fields is None else {field.name for field in row._meta.fields} - set(fields)
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as error:
        raise _named(row, error) from error


def save(row: M, *fields: str) -> M:
    """Check the whole row and write it; ``fields`` are those to update, none for a new one.

    Raises ``Invalid`` naming the field, or ``Conflict`` when somebody else was quicker.
    """
    clean(row)
    _write(row, fields)
    return row


def change(row: models.Model, **changes: object) -> tuple[dict[str, object], dict[str, object]]:
    """Check and save those of ``changes`` that differ; return their values before and after."""
    before = {name: getattr(row, name) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    clean(row, changes)
    after = {name: getattr(row, name) for name in changes}
    differing = [name for name in changes if before[name] != after[name]]
    if differing:
        _write(row, differing)
    return {name: before[name] for name in differing}, {name: after[name] for name in differing}


def changed(row: models.Model, values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Set ``values`` on ``row``, unsaved; return {field: (before, after)} of those that differ."""
    found = {}
    for field, value in values.items():
        before = getattr(row, field)
        if before != value:
            found[field] = (before, value)
            setattr(row, field, value)
    return found


def sides(
    differences: dict[str, tuple[Any, Any]], plain: Callable[[Any], Any] = lambda value: value
) -> dict[str, dict[str, Any]]:
    """Write differences for the audit trail, as its ``before`` and ``after``; ``plain`` writes a value as JSON can."""
    return {
        "before": {field: plain(before) for field, (before, _) in differences.items()},
        "after": {field: plain(after) for field, (_, after) in differences.items()},
    }


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Write names for a sentence: «a, b and 3 more»."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def _write(row: models.Model, fields: Sequence[str]) -> None:
    try:
        with transaction.atomic():
            if fields:
                row.save(update_fields=fields)
            else:
                row.save(force_insert=True)
    except IntegrityError as error:
        raise _in_the_way(row, error) from error
    for tell in ports.rows_written:
        tell(row)


def _named(row: models.Model, error: ValidationError) -> Invalid:
    """Make a refusal that names its field, also for a constraint over one field, for which Django names none."""
    refusal = Invalid.from_validation(error)
    if refusal.field is None:
        for constraint in row._meta.constraints:
            fields: tuple[str, ...] = tuple(getattr(constraint, "fields", ()))
            if len(fields) == 1 and constraint.violation_error_message == refusal.message:
                return Invalid(refusal.message, field=fields[0])
    return refusal


def _in_the_way(row: models.Model, error: IntegrityError) -> Conflict:
    """Find the constraint that broke: by checking again beside the other's row, else by the name in the error."""
    try:
        row.validate_unique()
        row.validate_constraints()
    except ValidationError as late:
        refusal = _named(row, late)
        return Conflict(refusal.message, field=refusal.field)
    named = next((each for each in row._meta.constraints if each.name in str(error)), None)
    if named is not None and named.violation_error_message:
        return Conflict(str(named.violation_error_message))
    return Conflict(
        "Somebody else changed the same object at the same moment, so your change was not made. "
        "Reload the page and try again."
    )
