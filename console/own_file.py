"""The SQLite database is its owner's alone: it holds what the console's secret key does not seal, sessions for one."""

from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

OWNERS = 0o600


def close_to_others(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Take away what others may do with the file, at its first use; SQLite's own files beside it follow it."""
    name = connection.settings_dict["NAME"]
    if connection.vendor != "sqlite" or not (file := Path(str(name))).is_file():
        return
    if file.stat().st_mode & 0o777 != OWNERS:
        file.chmod(OWNERS)
