"""Paths of unix sockets in a folder of any depth."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

# sun_path holds 108 bytes on Linux, 104 on macOS, with the final zero.
SOCKET_PATH_BYTES = 100


class ShortPath:
    """Short way to unix sockets in a folder whose path is too long for a socket's address.

    Linux: through an open descriptor of the folder, which leaves nothing behind. Elsewhere: through a link in the
    temporary folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._short: Path | None = None

    def of(self, name: str) -> str:
        """Return a path to `name` in the folder that a unix socket's address has room for; good while `self` lives."""
        path = str(self._directory / name)
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        # A folder that was made anew is another folder, though its name is the same.
        if self._short is None or not self._short.exists() or not self._short.samefile(self._directory):
            self._short = self._shorten()
        return str(self._short / name)

    def _shorten(self) -> Path:
        if Path("/proc/self/fd").is_dir():
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            weakref.finalize(self, os.close, descriptor)
            return Path(f"/proc/self/fd/{descriptor}")
        holder = Path(tempfile.mkdtemp(prefix="causeway-"))
        weakref.finalize(self, shutil.rmtree, holder, ignore_errors=True)
        (holder / "d").symlink_to(self._directory.absolute())
        return holder / "d"
