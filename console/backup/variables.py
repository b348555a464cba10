"""Settings in a backup: the variables that the console was started with, its secrets among them.

Left out is what belongs to the place and not to the console: `PLACE`, and ``DATABASE_URL``.
"""

import os
import shlex
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from django.conf import settings

from console.backup import archive
from console.core import sealed
from console.core.errors import Invalid

PREFIX = "CAUSEWAY_"
PLACE = {"CAUSEWAY_STATE_DIR", "CAUSEWAY_WHEEL_DIR", "CAUSEWAY_STATIC_ROOT", "CAUSEWAY_DEBUG"}
AUDIT = "CAUSEWAY_AUDIT_KEY"
SECRETS = ("CAUSEWAY_SECRET_KEY", "CAUSEWAY_SECRET_KEY_FALLBACKS", "CAUSEWAY_SEALING_KEYS", AUDIT)


def present() -> dict[str, str]:
    """Return the variables of this process that a backup holds."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in PLACE)
    return {name: os.environ[name] for name in names}


def keys_of(variables: Mapping[str, str]) -> set[str]:
    """Return the keys by which the console of a backup sealed, opened, and chained the audit."""
    several = [variables.get(name, "").split(",") for name in SECRETS[1:]]
    return {key for key in (variables.get(SECRETS[0], ""), *chain(*several)) if key}


def check_secrets(variables: Mapping[str, str]) -> None:
    """Raise `Invalid` where this process lacks a key of the backup.

    Without it secrets would stay closed for ever, or the audit's chain would hold no more.
    """
    opening, chaining = set(sealed.keys()), set(settings.AUDIT_KEYS)
    lacking = [
        name
        for name in SECRETS
        if keys_of({name: variables.get(name, "")}) - (chaining if name == AUDIT else opening)
    ]
    if lacking:
        raise Invalid(
            f"This console lacks keys of the backup: {', '.join(lacking)}. Write the settings out with "
            "restore FILE --settings-to NEW_FILE, and restore with these settings."
        )


def differing(variables: Mapping[str, str]) -> list[str]:
    """Name the variables that this process does not have as the backup has them."""
    here = present()
    return sorted(name for name in {*variables, *here} if variables.get(name) != here.get(name))


def write(variables: Mapping[str, str], target: Path) -> None:
    """Write variables into a new file of its owner's alone, for a shell and for systemd. Raises `Invalid`."""
    try:
        target.touch(mode=0o600, exist_ok=False)
        target.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
        archive.sync(target.parent)
    except OSError as error:
        raise Invalid(f"The settings cannot be written to {target}: {error}.") from error
