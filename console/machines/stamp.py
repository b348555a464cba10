"""Stamp of the configuration beside the database: which counters this host gave out last.

A database that was restored knows less than the stamp. Each host has a stamp of its own, so that a copied state folder
brings none along.
"""

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from console.core.models.version import ConfigVersion

log = logging.getLogger("causeway.epochs")


class Counters(NamedTuple):
    """Epoch with both versions."""

    epoch: str
    version: int
    servers_version: int

    @classmethod
    def of(cls, row: ConfigVersion) -> "Counters":
        return cls(row.epoch, row.version, row.servers_version)


def file_of_this_host(folder: Path) -> Path:
    """Name the stamp's file by the host; hosts without a machine id share one name."""
    try:
        host = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        host = b""
    return folder / f"epoch-{hashlib.sha256(b'causeway' + host).hexdigest()[:12]}.json"


class Stamp:
    """Stamp as this process knows it. Without ``settings.EPOCH_STAMPS`` there is none, and machines alone can tell."""

    def __init__(self) -> None:
        self._written: Counters | None = None
        self._hindered = False

    @property
    def file(self) -> Path | None:
        return file_of_this_host(settings.EPOCH_STAMPS) if settings.EPOCH_STAMPS else None

    def says_nothing_new(self, row: ConfigVersion) -> bool:
        """Tell whether the file need not be read: this process wrote these very counters, or there is no file."""
        return not settings.EPOCH_STAMPS or self._written == Counters.of(row)

    def read(self) -> Counters | None:
        """Return what was given out last; None where there is no stamp, or one that is damaged.

        Without a file that can be read, what this process remembers counts: a folder that takes no file must not make
        each change a new epoch.
        """
        try:
            return Counters(**json.loads(self.file.read_text())) if self.file else None
        except (OSError, ValueError, TypeError):
            return self._written

    def write(self, row: ConfigVersion) -> None:
        """Note what is given out, by one rename. A folder that takes no file is named in the log once."""
        if self.says_nothing_new(row) or (file := self.file) is None:
            return
        self._written = Counters.of(row)
        try:
            _write(file, json.dumps(self._written._asdict()))
            self._hindered = False
        except OSError as error:
            if not self._hindered:
                log.warning(
                    "%s cannot be written (%s): a restored database is noticed by machines alone.",
                    file,
                    error,
                )
            self._hindered = True


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=".epoch-")  # its owner's alone
    try:
        with os.fdopen(number, "w") as new:
            new.write(text)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


stamp = Stamp()
