"""Keys of backups: those of age, the public one to make a backup, the secret one to read a backup.

The console needs the public key alone, so that whoever takes the console over cannot read the backups of before.
"""

import sys
from pathlib import Path

import pyrage
from pyrage.x25519 import Identity, Recipient

from console.core.errors import Invalid

NO_KEY = (
    "The key file must hold a line with a public key (age1…) or a secret key (AGE-SECRET-KEY-1…). "
    "Make both with: backup --new-key FILE"
)


def lines_of(key_file: str) -> list[str]:
    """Return the keys in a file, or on standard input for ``-``. Raises `Invalid`."""
    try:
        text = sys.stdin.read() if key_file == "-" else Path(key_file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The key file {key_file} cannot be read: {error}.") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def public(lines: list[str]) -> Recipient:
    """Return the key that makes backups; the secret one leads to it as well. Raises `Invalid`."""
    for line in lines:
        try:
            return (
                Recipient.from_str(line) if line.startswith("age1") else Identity.from_str(line).to_public()
            )
        except (pyrage.RecipientError, pyrage.IdentityError):
            continue
    raise Invalid(NO_KEY)


def secret(lines: list[str]) -> Identity:
    """Return the key that reads backups. Raises `Invalid`."""
    for line in lines:
        try:
            return Identity.from_str(line)
        except pyrage.IdentityError:
            continue
    if any(line.startswith("age1") for line in lines):
        raise Invalid("A backup is read by the secret key. The key file holds the public key alone.")
    raise Invalid(NO_KEY)


def make(file: Path) -> str:
    """Write a new secret key into a file of its owner's alone, and return the public key. Raises `Invalid`."""
    identity = Identity.generate()
    try:
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    except OSError as error:
        raise Invalid(f"{file} cannot be made: {error}.") from error
    return str(identity.to_public())
