"""A machine's folder: who it is, its keys and certificates, its last configuration.

::

    identity.json   who this machine is, and its console
    console-ca.pem  the CA of the console's certificate, where that is a private one
    pki/            {name}.key, {name}.pem, ca.pem: links into pki/current, which one rename replaces
    envoy/          Envoy's working folder
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.errors import EdgeError

# With less than this a disk counts as full: what the console sends may not find room.
LEAST_BYTES = 2**20
# CA of the console's own certificate, where the system's store does not have the CA; that of gateways is in pki/.
CONSOLE_CA = "console-ca.pem"
# Why the console refuses the machine that the folder was copied from; gone with the next enrollment.
REFUSED = "refused.json"


class NotEnrolled(EdgeError):
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
        """Whether an identity is there (written last by an enrollment)."""
        return self.file("identity.json").exists()

    @property
    def console_ca(self) -> str:
        """Return the PEM of the CA of the console's certificate; empty where the system's store is enough."""
        try:
            return self.file(CONSOLE_CA).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise NotEnrolled(f"{self.file(CONSOLE_CA)} cannot be read: {error.strerror}.") from error

    @property
    def identity(self) -> Identity:
        """Read ``identity.json``. Raises `NotEnrolled` when it is missing or unreadable."""
        try:
            return Identity(**json.loads(self.file("identity.json").read_text()))
        except FileNotFoundError:
            usual = f"{self.path} is not enrolled: run the enroll command first."
            raise NotEnrolled(self.refusal or usual) from None
        except (OSError, ValueError, TypeError) as error:
            raise NotEnrolled(f"{self.file('identity.json')} cannot be read: {error}.") from error

    @property
    def refusal(self) -> str:
        """Why the console no longer takes this folder's former machine for its own; empty where nothing is known."""
        return str((self.read_json(REFUSED) or {}).get("message", ""))

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

    def write_changed(self, name: str, data: bytes) -> None:
        """Do as `write_atomic` does, unless that is what the file says already.

        Then there is no rename for those who watch for one, and a full disk is no hindrance.
        """
        try:
            if self.file(name).read_bytes() == data:
                return
        except OSError:  # it is not there, or broken: it is written
            pass
        self.write_atomic(name, data)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON document as `write_atomic` does."""
        self.write_atomic(name, _json(value))

    def write_changed_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON document as `write_changed` does."""
        self.write_changed(name, _json(value))

    def cannot_write(self) -> str:
        """Say in a sentence why nothing can be written here now; empty when something can."""
        try:
            disk = os.statvfs(self.path)
        except OSError as error:
            return f"{self.path} cannot be looked at: {error.strerror}."
        if disk.f_flag & os.ST_RDONLY:
            return f"The disk of {self.path} can only be read."
        if (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize < LEAST_BYTES:
            return f"The disk of {self.path} is full."
        # A file system without a limit to their number tells 0 of 0.
        if disk.f_files and not disk.f_ffree:
            return f"The disk of {self.path} takes no more files."
        return ""

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
        try:
            for name, data in files.items():
                Home(generation).write_atomic(name, data)
        except BaseException:  # tried again and again, it would fill a full disk all the more
            shutil.rmtree(generation, ignore_errors=True)
            raise
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


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
