"""Keys of the audit's chain, which stand outside the database: whoever writes the table cannot write the chain.

``CAUSEWAY_AUDIT_KEY`` has them, the newest first; a key made from the console's secret key comes after them, and those
made from ``SECRET_KEY_FALLBACKS`` last. The first one signs, all of them verify. Migrations import this module.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings


@dataclass(frozen=True)
class Key:
    """A key by the name that rows have for it, which tells nothing of the secret."""

    name: str
    secret: bytes

    @classmethod
    def of(cls, purpose: bytes, text: str) -> "Key":
        secret = hashlib.sha256(purpose + text.encode()).digest()
        return cls(hashlib.sha256(b"causeway.audit.name" + secret).hexdigest()[:16], secret)

    def sign(self, *parts: Any) -> str:
        """Return the HMAC over the parts, which are written so that both databases give the same text back."""
        text = json.dumps(_plain(parts), sort_keys=True, default=str)
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()


def all_keys() -> list[Key]:
    """Return all keys, the newest first, which signs."""
    own = [Key.of(b"causeway.audit.own", each) for each in settings.AUDIT_KEYS]
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return own + [Key.of(b"causeway.audit", str(each)) for each in secrets]


def moment(at: datetime) -> str:
    """Write a moment as signatures have it."""
    return at.astimezone(UTC).isoformat()


def checkpoint_signature(key: Key, kind: str, row: int, digest: str, made_at: datetime) -> str:
    """Sign what a checkpoint says."""
    return key.sign("checkpoint", kind, row, digest, moment(made_at))


def _plain(value: Any) -> Any:
    """Write whole floats as integers: PostgreSQL gives 1e16 back as one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
