"""Identifiers in the shapes that the cloud service gives them, so that its users recognise what they see."""

import secrets
import string

LONG = ("sag", "ccn")
ALPHABET = string.ascii_lowercase + string.digits


def new_id(prefix: str) -> str:
    """Make ``sag-``/``ccn-`` + 18 lower-case letters and digits; any other prefix + 16 hexadecimal digits."""
    if prefix in LONG:
        return f"{prefix}-" + "".join(secrets.choice(ALPHABET) for _ in range(18))
    return f"{prefix}-{secrets.token_hex(8)}"
