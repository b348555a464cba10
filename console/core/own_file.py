"""Permissions of what the console writes: its owner's alone, since much stands in the database unsealed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.db.backends.base.base import BaseDatabaseWrapper

OWNERS = 0o600
# What others may do with new files and folders of console and worker, taken away by `os.umask`.
OTHERS = 0o077


def close_to_others(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Take away what others may do with the file, at its first use; SQLite gives its own files beside it the same."""
    name = connection.settings_dict["NAME"]
    if connection.vendor != "sqlite" or not (file := Path(str(name))).is_file():
        return
    if file.stat().st_mode & 0o777 != OWNERS:
        file.chmod(OWNERS)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, so that files which the block has begun go away."""

    def end(*_: Any) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
