"""Small secrets kept in the database for a while, encrypted with a key that is made from the console's secret key."""

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


def _box(purpose: str) -> Fernet:
    digest = hashlib.sha256(f"causeway.{purpose}".encode() + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def seal(purpose: str, values: dict[str, Any]) -> str:
    """Make a text that only ``unseal`` with the same ``purpose`` reads; no values give an empty text."""
    return _box(purpose).encrypt(json.dumps(values).encode()).decode() if values else ""


def unseal(purpose: str, text: str) -> dict[str, Any]:
    """Return the sealed values; empty when there are none, or when the console's secret key has changed since."""
    try:
        return json.loads(_box(purpose).decrypt(text.encode())) if text else {}
    except InvalidToken:
        return {}
