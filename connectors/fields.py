"""Names and ids in the forms that SASE private access allows: what is legal in the cloud's console is legal here."""

from collections.abc import Callable
from typing import Any

from django.core.validators import MaxLengthValidator, RegexValidator

from console.core.ids import new_id

# Chinese characters, Latin letters, digits and . _ -, as the cloud service allows.
CONNECTOR_NAME = RegexValidator(
    r"^[A-Za-z0-9._\-\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+\Z",
    "Instance Name must be 1 to 128 Chinese characters, letters, digits, periods (.), underscores (_) or hyphens (-).",
)
# Names that look alike cannot be told apart: no invisible characters, no blanks at the ends.
VISIBLE_NAME = RegexValidator(
    r"^(?!\s)[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+(?<!\s)\Z",
    "The name must be 1 to 128 characters, without control characters and without spaces at its ends.",
)
NO_NUL = RegexValidator(r"^[^\x00]*\Z", "The text must not contain null characters.")
DESCRIPTION: list[Callable[[Any], None]] = [MaxLengthValidator(128), NO_NUL]


def new_connector_id() -> str:
    return new_id("connector")


def new_server_id() -> str:
    return new_id("server")


def new_application_id() -> str:
    return new_id("pa-application")


def new_group_id() -> str:
    return new_id("usergroup")


def new_policy_id() -> str:
    return new_id("fs")


def new_tag_id() -> str:
    return new_id("tag")
