"""Secrets in the database, encrypted with the console's keys: the first key seals, each of the keys opens.

Keys are those of `settings.SEALING_KEYS`, then the secret key with its fallbacks, which seals where no keys are given.
A column of sealed texts is a `SealedField`, so that `console.core.rotation` finds the column.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Unopened(Exception):
    """A sealed text that none of the console's keys opens."""


def keys() -> list[str]:
    """Return the keys, the one that seals first."""
    return [*settings.SEALING_KEYS, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


# -- Texts


def _boxes(purpose: str) -> list[Fernet]:
    digests = (hashlib.sha256(f"causeway.{purpose}".encode() + key.encode()).digest() for key in keys())
    return [Fernet(base64.urlsafe_b64encode(digest)) for digest in digests]


def seal_text(purpose: str, text: str) -> str:
    """Make a text that only `open_text` with the same ``purpose`` reads."""
    return _boxes(purpose)[0].encrypt(text.encode()).decode()


def open_text(purpose: str, sealed: str) -> str:
    """Return what was sealed. Raises `Unopened`."""
    try:
        return MultiFernet(_boxes(purpose)).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Unopened from error


def seal(purpose: str, values: dict[str, Any]) -> str:
    """Make a text that only `unseal` with the same ``purpose`` reads; no values give an empty text."""
    return seal_text(purpose, json.dumps(values)) if values else ""


def unseal(purpose: str, text: str) -> dict[str, Any]:
    """Return the sealed values; empty when there are none, or when no key of the console opens the text."""
    try:
        return json.loads(open_text(purpose, text)) if text else {}
    except Unopened:
        return {}


# -- Private keys, in the PEM form that encrypts itself


def _passphrases() -> list[bytes]:
    made = (
        salted_hmac("causeway.pki", "private keys", secret=key, algorithm="sha256").hexdigest()
        for key in keys()
    )
    return [passphrase.encode() for passphrase in made]


def seal_private_key(key: PrivateKey) -> str:
    """Make the PEM text that only `open_private_key` reads."""
    encryption = ser.BestAvailableEncryption(_passphrases()[0])
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, encryption).decode()


def open_private_key(pem: str) -> PrivateKey:
    """Return a private key. Raises `Unopened`."""
    return _tried(pem, _passphrases())[1]


def _tried(pem: str, passphrases: Sequence[bytes]) -> tuple[int, PrivateKey]:
    """Return (place of the passphrase that opens, private key). Raises `Unopened`."""
    for place, passphrase in enumerate(passphrases):
        try:
            return place, ser.load_pem_private_key(pem.encode(), passphrase)  # type: ignore[return-value]
        except ValueError:
            continue
    raise Unopened


# -- Columns


class SealedField(models.TextField):
    """Column of texts that `seal` or `seal_text` makes with ``purpose``. Migrations see a plain column of texts."""

    def __init__(self, *args: Any, purpose: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.purpose = purpose

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.TextField", args, options

    def place_of_key(self, text: str) -> int:
        """Return the place among `keys` of the key that sealed a text: 0 for the present one. Raises `Unopened`."""
        for place, box in enumerate(_boxes(self.purpose)):
            try:
                box.decrypt(text.encode())
            except InvalidToken:
                continue
            return place
        raise Unopened

    def renewed(self, text: str) -> str:
        """Seal what a text holds by the first key. Raises `Unopened`."""
        return seal_text(self.purpose, open_text(self.purpose, text))


class SealedKeyField(SealedField):
    """Column of private keys that `seal_private_key` makes."""

    def place_of_key(self, text: str) -> int:
        return _tried(text, _passphrases())[0]

    def renewed(self, text: str) -> str:
        return seal_private_key(open_private_key(text))
