"""What every service of this app does with a row before and while writing it."""

from collections.abc import Callable, Iterable

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from console.errors import Conflict, Invalid

# What other apps do after a row was written, within its transaction; they register at start-up.
listeners: list[Callable[[models.Model], None]] = []


def clean(row: models.Model, fields: Iterable[str] | None = None) -> None:
    """``full_clean``, of only ``fields`` when given. Raises ``Invalid`` for the first field that is not legal."""
    exclude = None if fields is None else {field.name for field in row._meta.fields} - set(fields)
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as error:
        raise Invalid.from_validation(error) from error


def insert(row: models.Model) -> None:
    """Check and insert. Raises ``Invalid``, or ``Conflict`` when somebody else was quicker with the same."""
    clean(row)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise _in_the_way(row, error) from error
    _tell(row)


def change(row: models.Model, **changes: object) -> tuple[dict[str, object], dict[str, object]]:
    """Check and save those of ``changes`` that differ; returns their values before and after."""
    before = {name: getattr(row, name) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    clean(row, changes)
    after = {name: getattr(row, name) for name in changes}
    differing = [name for name in changes if before[name] != after[name]]
    if differing:
        try:
            with transaction.atomic():
                row.save(update_fields=differing)
        except IntegrityError as error:
            raise _in_the_way(row, error) from error
        _tell(row)
    return {name: before[name] for name in differing}, {name: after[name] for name in differing}


def _tell(row: models.Model) -> None:
    for listener in listeners:
        listener(row)


def _in_the_way(row: models.Model, error: IntegrityError) -> Conflict:
    """The sentence of the constraint that the database names, as far as it names one."""
    named = (c for c in row._meta.constraints if c.name in str(error))
    constraint = next(named, None)
    message = constraint.violation_error_message if constraint else None
    return Conflict(str(message or "Somebody saved the same at this moment. Look at the list and try again."))
