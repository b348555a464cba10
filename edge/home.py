"""A machine's folder: who it is, its keys and certificates, its last configuration.

::

    identity.json   who this machine is, and its console
    pki/            {name}.key, {name}.pem, ca.pem: links into pki/current, which one rename replaces
    envoy/          Envoy's working folder
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class NotEnrolled(Exception):
    """The folder holds no identity: ``enroll`` has not been run there. The message is for the operator."""


@dataclass(frozen=True)
class Identity:
    """Who a machine is: ``kind`` is ``server`` or ``gateway``; ``connector`` is empty for a gateway."""

    id: str
    kind: str
    console: str
    connector: str = ""


class Home:
    """The folder of one machine. Nothing is created by making this object."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()

    def file(self, name: str) -> Path:
        """Return where the file called `name` lies, whether it exists or not."""
        return self.path / name

    @property
    def enrolled(self) -> bool:
        """Whether an identity is there (written last by an enrolment)."""
        return self.file("identity.json").exists()

    @property
    def identity(self) -> Identity:
        """Read ``identity.json``. Raises `NotEnrolled` when it is missing or unreadable."""
        try:
            return Identity(**json.loads(self.file("identity.json").read_text()))
        except FileNotFoundError:
            raise NotEnrolled(f"{self.path} is not enrolled: run the enroll command first.") from None
        except (OSError, ValueError, TypeError) as error:
            raise NotEnrolled(f"{self.file('identity.json')} cannot be read: {error}.") from error

    def write_identity(self, identity: Identity) -> None:
        """Write ``identity.json``: from here on the folder counts as enrolled."""
        self.write_json("identity.json", asdict(identity))

    def write_atomic(self, name: str, data: bytes) -> None:
        """Replace a file by one rename, so that nobody ever sees half of it, mode 0600."""
        target = self.file(name)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON document as `write_atomic` does."""
        self.write_atomic(name, json.dumps(value, indent=1).encode() + b"\n")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON document, or None when it is missing or broken."""
        try:
            value = json.loads(self.file(name).read_text())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def write_pki(self, files: Mapping[str, bytes]) -> None:
        """Replace all keys and certificates at once: a key never stands beside the certificate of another.

        `files` maps names such as ``outer.key`` to contents and is the whole set. The rename of
        ``pki/current`` is also what Envoy watches for, so it takes new certificates without a restart.
        """
        folder = self.path / "pki"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        generation = Path(tempfile.mkdtemp(dir=folder, prefix="generation-"))
        for name, data in files.items():
            Home(generation).write_atomic(name, data)
        pointer = folder / f".{generation.name}"
        pointer.symlink_to(generation.name)
        pointer.replace(folder / "current")
        for name in files:
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(Path("current") / name)
        _sync_folder(folder)
        for old in folder.glob("generation-*"):
            if old != generation:
                shutil.rmtree(old, ignore_errors=True)

    def read_pki(self) -> dict[str, bytes]:
        """Return all keys and certificates, in the shape of `write_pki`."""
        return {file.name: file.read_bytes() for file in sorted((self.path / "pki" / "current").iterdir())}


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
