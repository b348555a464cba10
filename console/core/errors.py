"""Refusals, which a service raises instead of doing as asked; every door shows their sentence.

::

    Refusal            status, code (CamelCase), message (a sentence for people), field (form field or None)
    ├── Invalid        400: a value is not legal
    ├── Forbidden      403: the caller may not
    ├── NotFound       404
    └── Conflict       409: legal, but not in the present state
"""

from django.core.exceptions import ValidationError


class Refusal(Exception):
    status = 400
    code = "Refused"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = str(message)
        self.field = field
        self.code = code or self.code


class Invalid(Refusal):
    code = "InvalidParameter"

    @classmethod
    def from_validation(cls, error: ValidationError) -> "Invalid":
        """Make a refusal of the first error of a ``ValidationError``, named after its field."""
        if hasattr(error, "error_dict"):
            field, errors = next(iter(error.message_dict.items()))
            return cls(errors[0], field=None if field == "__all__" else field)
        return cls(error.messages[0])


class Forbidden(Refusal):
    status = 403
    code = "Forbidden"


class NotFound(Refusal):
    status = 404
    code = "NotFound"


class Conflict(Refusal):
    status = 409
    code = "Conflict"
