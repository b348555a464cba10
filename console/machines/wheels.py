"""Wheels of Causeway that the console offers to its machines."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

NO_WHEEL = (
    "The console has no causeway wheel to install from. Put one into its wheel directory (CAUSEWAY_WHEEL_DIR): "
    "python3 -m build --wheel."
)


@dataclass(frozen=True)
class Wheel:
    """A wheel in the wheel directory. ``sha256``: in hexadecimal."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def version(self) -> str:
        """Version that the file's name tells: ``causeway-1.2.0-py3-none-any.whl`` is 1.2.0."""
        return self.name.split("-")[1]


def wheels() -> list[Path]:
    """Return the wheels that the console offers, the newest first."""
    found = [path for path in settings.WHEEL_DIR.glob("causeway-*-*.whl") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def newest_wheel() -> Wheel | None:
    """Return the wheel that machines are installed with now; None when the console has none."""
    path = next(iter(wheels()), None)
    if path is None:
        return None
    status = path.stat()
    return Wheel(path, _digest(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=4)
def _digest(path: Path, modified: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
