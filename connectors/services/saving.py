"""How every service here writes: checked as a whole, then only the fields meant; every refusal is a sentence."""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from console.errors import Conflict, Invalid

M = TypeVar("M", bound=models.Model)


def save(record: M, *fields: str) -> M:
    """Validate and write ``record``; ``fields`` are those to update, none for a new one.

    Raises ``Invalid`` naming the field. A constraint that only the database could see (two writers at once) ends
    as the same sentence, not as an error of the database.
    """
    try:
        record.full_clean()
        with transaction.atomic():
            if fields:
                record.save(update_fields=fields)
            else:
                record.save(force_insert=True)
    except ValidationError as error:
        raise _named(record, error) from error
    except IntegrityError as error:
        try:
            record.validate_constraints()
        except ValidationError as late:
            raise _named(record, late) from error
        raise Conflict(
            "This was changed by somebody else at the same moment. Look again and repeat it."
        ) from error
    return record


def _named(record: models.Model, error: ValidationError) -> Invalid:
    """Constraint messages name no field; ours over one field concern that field."""
    refusal = Invalid.from_validation(error)
    if refusal.field is None:
        for constraint in record._meta.constraints:
            fields: tuple[str, ...] = tuple(getattr(constraint, "fields", ()))
            if len(fields) == 1 and constraint.violation_error_message == refusal.message:
                return Invalid(refusal.message, field=fields[0])
    return refusal


def changed(record: models.Model, values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Set ``values`` on ``record``; {field: (before, after)} of those that differ."""
    found = {}
    for field, value in values.items():
        before = getattr(record, field)
        if before != value:
            found[field] = (before, value)
            setattr(record, field, value)
    return found


def listed(names: Sequence[str], limit: int = 5) -> str:
    """«a, b and 3 more» for sentences."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
