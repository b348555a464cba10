"""How services write a row: checked first, then only the fields that are meant; every refusal is a sentence.

A constraint that only the database could see, because somebody else wrote the same at that moment, ends as the sentence
of that constraint, and not as an error of the database.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from console.errors import Conflict, Invalid

M = TypeVar("M", bound=models.Model)

# What apps do after any row was written, within its transaction; they register at start-up.
listeners: list[Callable[[models.Model], None]] = []


def clean(row: models.Model, fields: Iterable[str] | None = None) -> None:
    """``full_clean``, of only ``fields`` when given. Raises ``Invalid`` for the first field that is not legal."""
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
    """Check and save those of ``changes`` that differ; returns their values before and after."""
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
    """Set ``values`` on ``row``, unsaved; {field: (before, after)} of those that differ."""
    found = {}
    for field, value in values.items():
        before = getattr(row, field)
        if before != value:
            found[field] = (before, value)
            setattr(row, field, value)
    return found


def listed(names: Sequence[str], limit: int = 5) -> str:
    """«a, b and 3 more» for sentences."""
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
    for listener in listeners:
        listener(row)


def _named(row: models.Model, error: ValidationError) -> Invalid:
    """Constraint messages name no field; ours over one field concern that field."""
    refusal = Invalid.from_validation(error)
    if refusal.field is None:
        for constraint in row._meta.constraints:
            fields: tuple[str, ...] = tuple(getattr(constraint, "fields", ()))
            if len(fields) == 1 and constraint.violation_error_message == refusal.message:
                return Invalid(refusal.message, field=fields[0])
    return refusal


def _in_the_way(row: models.Model, error: IntegrityError) -> Conflict:
    """What the row looks like now that the other one is there, or the constraint that the database names."""
    try:
        row.validate_unique()
        row.validate_constraints()
    except ValidationError as late:
        refusal = _named(row, late)
        return Conflict(refusal.message, field=refusal.field)
    named = next((each for each in row._meta.constraints if each.name in str(error)), None)
    if named is not None and named.violation_error_message:
        return Conflict(str(named.violation_error_message))
    return Conflict("This was changed by somebody else at the same moment. Look again and repeat it.")
