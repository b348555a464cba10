"""Rules of single fields, as the cloud service has them, each with the sentence of its refusal."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator

INSTANCE_NAME = RegexValidator(
    r"\A[A-Za-z][A-Za-z0-9._-]{1,127}\Z",
    "Name must be 2–128 characters: a letter first, then letters, digits, “.”, “_” or “-”.",
)
CCN_NAME = RegexValidator(
    r"\A[A-Za-z][A-Za-z0-9_-]{1,99}\Z",
    "Name must be 2–100 characters: a letter first, then letters, digits, “_” or “-”.",
)
DESCRIPTION = RegexValidator(
    r"\A(?!https?://)[A-Za-z][^\x00-\x1f\x7f]{1,255}\Z",
    "Description must be 2–256 characters, start with a letter and not with http:// or https://.",
)
USERNAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_@.-]{6,32}\Z",
    "User name must be 7–33 characters: a letter or digit first, then letters, digits, “_”, “@”, “.” or “-”.",
)
EMAIL = RegexValidator(
    r"\A(?=.{2,64}\Z)[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+\Z",
    "E-mail must be 2–64 characters: letters, digits, “_”, “.” or “-”, with one “@” between them.",
)
PASSWORD = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_@.-]{7,31}\Z",
    "Password must be 8–32 characters: a letter or digit first, then letters, digits, “_”, “@”, “.” or “-”.",
)
# The database takes this much; an account may be given the setting BANDWIDTH_MAX_KBPS, 20,000 by default.
MAX_BANDWIDTH = 10_000_000


def validate_bandwidth(kbps: int) -> None:
    """Refuse a bandwidth that is not from 1 kbit/s to ``BANDWIDTH_MAX_KBPS``. Raises ``ValidationError``."""
    most = settings.BANDWIDTH_MAX_KBPS
    if not 1 <= kbps <= most:
        raise ValidationError(f"Bandwidth must be 1–{most:,} kbit/s.", code="bandwidth")


BANDWIDTH = [validate_bandwidth]
# The cloud sells 1–2,000; a console of one's own sells nothing, so only the address space limits the quota.
MAX_QUOTA = 1_000_000
QUOTA = [
    MinValueValidator(1, "Account quota must be 1–1,000,000."),
    MaxValueValidator(MAX_QUOTA, "Account quota must be 1–1,000,000."),
]


def validate_block(text: str) -> None:
    """Refuse a block that is not as stored: normalised, without host bits. Raises ``ValidationError``."""
    from console.core.errors import Invalid
    from roaming.networks import parse_block

    try:
        parse_block(text, field="cidr")
    except Invalid as error:
        raise ValidationError(error.message, code="invalid") from error
