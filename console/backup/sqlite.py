"""The SQLite database in a backup: its file, as SQLite's own backup copies it while the console runs.

A restore makes another file beside the database, and lets that file take the database's name in the end.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from console.backup.archive import PIECE, member, sync
from console.backup.world import HOLDS_A_WORLD, WORLD
from console.core.errors import Conflict, Invalid
from console.core.own_file import OWNERS

TABLE = "all"
BESIDE = ("-wal", "-shm", "-journal")


def _path() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


# -- Making a backup


@contextmanager
def snapshot() -> Iterator[dict[str, Any]]:
    """Read nothing yet: the copy that `members` makes is of one moment, and has its shape in itself."""
    yield {}


def members(shape: dict[str, Any], sizes: dict[str, int]) -> Iterator[bytes]:
    """Yield the database as a file of an archive, and note how large the file is."""
    copy = _copied()
    try:
        sizes[TABLE] = size = os.fstat(copy).st_size
        yield from member(f"database/{TABLE}/000000", size, iter(lambda: os.read(copy, PIECE), b""))
    finally:
        os.close(copy)


def counters() -> dict[str, int | None]:
    """Return nothing: sequences are in the file."""
    return {}


def _copied() -> int:
    """Copy the database, and return the copy, which has no name: whatever happens, nothing is left of the copy."""
    settings.STATE_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(dir=settings.STATE_DIR, prefix=".backup-")
    try:
        with closing(sqlite3.connect(name)) as copy:
            copy.execute("PRAGMA journal_mode=OFF")
            copy.execute("PRAGMA synchronous=OFF")
            Path(name).unlink()
            connection.ensure_connection()
            connection.connection.backup(copy)
        return number
    except BaseException:
        os.close(number)
        Path(name).unlink(missing_ok=True)
        raise


# -- Restoring


def check_free(*, replace: bool) -> None:
    """Raise `Conflict` for a database that is in use, or holds a world that may not go."""
    connection.close()
    if not _path().exists():
        return
    with closing(sqlite3.connect(_path(), timeout=0, isolation_level=None)) as database:
        try:
            # Another journal is taken only by whoever is alone.
            database.execute("PRAGMA journal_mode=DELETE")
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            raise Conflict("Others use the database. End console and worker first.") from error
        except sqlite3.DatabaseError as error:
            raise Conflict(f"{_path()} is no SQLite database. Move the file away.") from error
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in found} & set(WORLD)
        has_rows = (database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in tables)  # noqa: S608
        if not replace and any(has_rows):
            raise Conflict(HOLDS_A_WORLD)


@contextmanager
def filling() -> Iterator[None]:
    """Fill a new file in the block, which takes the database's name if the block ends well."""
    target, new = _path(), _path().with_name(f"{_path().name}.restoring")
    connection.close()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove(new)
    connection.settings_dict["NAME"] = str(new)
    try:
        yield
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()  # from here on all is in the one file
        for name in BESIDE:
            target.with_name(target.name + name).unlink(missing_ok=True)
        new.replace(target)
        sync(target.parent)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = str(target)
        _remove(new)


def _remove(new: Path) -> None:
    for name in ("", *BESIDE):
        new.with_name(new.name + name).unlink(missing_ok=True)


def fill(
    tables: Iterable[tuple[str, Iterator[bytes]]], applied: dict[str, list[str]], shape: dict[str, Any]
) -> None:
    """Write the file of the backup, and look at it as SQLite does."""
    with os.fdopen(os.open(_path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS), "wb") as file:
        for _, blocks in tables:
            for block in blocks:
                file.write(block)
        file.flush()
        os.fsync(file.fileno())
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        if (said := cursor.fetchone()[0]) != "ok":
            raise Invalid(f"SQLite finds the database of the backup damaged: {said}. Nothing was restored.")


def count_on(values: dict[str, int | None]) -> None:
    """Do nothing: sequences are in the file."""
