"""Constraints that many tables have, each with the sentence that people read when a row breaks it."""

from collections.abc import Sequence

from django.db.models import CheckConstraint, Q, UniqueConstraint


def one_of(field: str, values: Sequence[str], *, name: str, called: str = "") -> CheckConstraint:
    """Hold the database to a field's choices, which Django checks in forms alone; ``called``: its name for people."""
    sentence = f"{called or field.capitalize()} must be {', '.join(values[:-1])} or {values[-1]}."
    condition = Q((f"{field}__in", list(values)))
    return CheckConstraint(condition=condition, name=name, violation_error_message=sentence)


def unique_name(what: str, *, name: str) -> UniqueConstraint:
    sentence = f"There is another {what} with this name. Choose another."
    return UniqueConstraint(fields=["name"], name=name, violation_error_message=sentence)
