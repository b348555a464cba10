"""Column types that sort and search the same on both databases."""

import ipaddress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models


class KeyField(models.CharField):
    """Text compared byte by byte: ``gte``/``lt`` on an ordinary index find a prefix, whatever the database's locale."""

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class IPv4Field(models.Field):
    """IPv4 address: a string to Python, a number to the database, so that addresses sort and range as people expect."""

    description = "IPv4 address"

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> str | None:
        return None if value is None else str(ipaddress.IPv4Address(value))

    def to_python(self, value: Any) -> str | None:
        if value in (None, ""):
            return None
        try:
            return str(ipaddress.IPv4Address(value.strip() if isinstance(value, str) else value))
        except ValueError as error:
            raise ValidationError("Must be an IPv4 address, such as 10.0.0.5.", code="invalid") from error

    def get_prep_value(self, value: Any) -> int | None:
        value = super().get_prep_value(value)
        if value in (None, ""):
            return None
        return value if isinstance(value, int) else int(ipaddress.IPv4Address(value))

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj) or "")

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{"form_class": forms.GenericIPAddressField, "protocol": "ipv4", **kwargs})
