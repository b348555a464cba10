"""Unsent records on disk, in one SQLite file: kept until acknowledged, bounded, alive on a full disk."""

import itertools
import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

# Roughly what SQLite keeps beside a record (row id, kind, key, indexes): the bound is on disk use.
ROW_OVERHEAD = 96
MEMORY_RECORDS = 20_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT, size INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS record_latest ON record (kind, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS record_kind ON record (kind, id);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


@dataclass
class _Waiting:
    """A record that the disk did not take yet."""

    token: int
    kind: str
    key: str | None
    body: str
    peeked: bool = False


class Spool:
    """Records that wait for the console, oldest first.

    When `limit_bytes` is reached, the oldest go. When the disk takes nothing more, up to `MEMORY_RECORDS` are
    held in memory and written as soon as it does. Tokens are positive for records on disk, negative for those
    in memory. Safe to use from several threads.
    """

    def __init__(self, path: Path, *, limit_bytes: int = 256 * 2**20) -> None:
        self._path = path
        self._limit = limit_bytes
        self._lock = threading.RLock()
        self._waiting: list[_Waiting] = []
        self._waiting_notes: dict[str, str] = {}
        self._undeleted: set[int] = set()
        self._moved: dict[int, int] = {}
        self._given_up = 0
        self._memory_tokens = itertools.count(-1, -1)
        self._full = False
        self._shut = False
        self._database: sqlite3.Connection | None = None
        self._bytes = 0
        self._open()

    def put(self, kind: str, record: Mapping[str, Any]) -> None:
        """Keep a record."""
        self._keep(kind, None, [record], None)

    def put_all(
        self,
        kind: str,
        records: Iterable[Mapping[str, Any]],
        *,
        note: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Keep records, and `note` (name, value) for `Spool.note`, all in one transaction."""
        self._keep(kind, None, records, note)

    def put_latest(self, kind: str, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record, under a new token, in place of the unsent one of the same key: see `drop`."""
        self._keep(kind, key, [record], None)

    def peek(self, kind: str, limit: int) -> tuple[list[int], list[dict[str, Any]]]:
        """Return up to `limit` of the oldest records of a kind, and the tokens to `drop` them by."""
        with self._lock:
            self._flush()
            rows = [row for row in self._stored(kind, limit) if row[0] not in self._undeleted][:limit]
            for item in [item for item in self._waiting if item.kind == kind][: limit - len(rows)]:
                item.peeked = True
                rows.append((item.token, item.body))
        return [token for token, _ in rows], [json.loads(body) for _, body in rows]

    def drop(self, tokens: Iterable[int]) -> None:
        """Forget acknowledged records. A record that was replaced since it was peeked at stays."""
        with self._lock:
            # Records that were peeked at in memory may have reached the disk meanwhile.
            gone = {self._moved.pop(token, token) for token in tokens}
            self._waiting = [item for item in self._waiting if item.token not in gone]
            # Remember the tokens first: on a full disk even deleting may fail, and nothing may be sent twice.
            self._undeleted |= {token for token in gone if token > 0}
            self._flush()

    def note(self, name: str) -> dict[str, Any] | None:
        """Return what was last remembered under a name, or None."""
        with self._lock:
            body = self._waiting_notes.get(name)
            if body is None and self._database is not None:
                try:
                    row = self._database.execute("SELECT body FROM note WHERE name = ?", (name,)).fetchone()
                except sqlite3.Error:
                    row = None
                body = row[0] if row else None
        return json.loads(body) if body else None

    def remember(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a small value under a name."""
        with self._lock:
            self._waiting_notes[name] = json.dumps(value)
            self._flush()

    def close(self) -> None:
        """Write the records that the disk takes, and close the file."""
        with self._lock:
            self._flush()
            if self._database is not None:
                self._database.close()
            self._database = None

    def _keep(
        self,
        kind: str,
        key: str | None,
        records: Iterable[Mapping[str, Any]],
        note: tuple[str, Mapping[str, Any]] | None,
    ) -> None:
        bodies = [json.dumps(record, separators=(",", ":")) for record in records]
        with self._lock:
            if key is not None:
                self._waiting = [item for item in self._waiting if (item.kind, item.key) != (kind, key)]
            self._waiting += [_Waiting(next(self._memory_tokens), kind, key, body) for body in bodies]
            if note is not None:
                self._waiting_notes[note[0]] = json.dumps(note[1])
            self._flush()
            if len(self._waiting) > MEMORY_RECORDS:
                del self._waiting[: len(self._waiting) - MEMORY_RECORDS]

    def _flush(self) -> None:
        """Write everything that waits in memory in one transaction; after a failure all of it goes on waiting."""
        if not (self._waiting or self._waiting_notes or self._undeleted):
            return
        if self._database is None:
            self._open()
        if self._database is None:
            return
        try:
            with self._database:
                written, moved = self._write(self._database)
        except sqlite3.Error as error:
            if not self._full:
                logger.error(
                    "Records cannot be written to %s (%s); holding them in memory.", self._path, error
                )
            self._full = True
            return
        if self._full:
            logger.info("Records are written to %s again.", self._path)
        self._full = False
        self._bytes = written
        self._moved |= moved
        self._waiting.clear()
        self._waiting_notes.clear()
        self._undeleted.clear()

    def _write(self, database: sqlite3.Connection) -> tuple[int, dict[int, int]]:
        """Do the work of `_flush`; return the bytes then in use, and the new tokens of peeked records."""
        size = self._bytes
        moved = {}
        for token in self._undeleted:
            size -= _size_of(
                database.execute("DELETE FROM record WHERE id = ? RETURNING size", (token,)).fetchall()
            )
        for item in self._waiting:
            if item.key is not None:
                replaced = database.execute(
                    "DELETE FROM record WHERE kind = ? AND key = ? RETURNING size", (item.kind, item.key)
                )
                size -= _size_of(replaced.fetchall())
            weight = len(item.body.encode()) + ROW_OVERHEAD
            inserted = database.execute(
                "INSERT INTO record (kind, key, size, body) VALUES (?, ?, ?, ?)",
                (item.kind, item.key, weight, item.body),
            )
            if item.peeked and inserted.lastrowid is not None:
                moved[item.token] = inserted.lastrowid
            size += weight
        for name, body in self._waiting_notes.items():
            database.execute("INSERT OR REPLACE INTO note (name, body) VALUES (?, ?)", (name, body))
        return size - self._give_up(database, size - self._limit), moved

    def _give_up(self, database: sqlite3.Connection, excess: int) -> int:
        """Delete the oldest records until `excess` bytes are free; return the bytes freed."""
        freed = 0
        while freed < excess:
            oldest = database.execute(
                "DELETE FROM record WHERE id = (SELECT min(id) FROM record) RETURNING size"
            ).fetchall()
            if not oldest:
                break
            if self._given_up % 1000 == 0:
                logger.warning(
                    "The spool %s has reached its limit; the oldest records are given up.", self._path
                )
            self._given_up += 1
            freed += _size_of(oldest)
        return freed

    def _stored(self, kind: str, limit: int) -> list[tuple[int, str]]:
        if self._database is None:
            return []
        try:
            return self._database.execute(
                "SELECT id, body FROM record WHERE kind = ? ORDER BY id LIMIT ?",
                (kind, limit + len(self._undeleted)),
            ).fetchall()
        except sqlite3.Error as error:
            logger.error("Records cannot be read from %s: %s.", self._path, error)
            return []

    def _open(self) -> None:
        """Open the file, else try again later; a failure is told once."""
        try:
            self._database, self._bytes = self._opened()
        except (sqlite3.Error, OSError) as error:
            if not self._shut:
                logger.error(
                    "The spool %s cannot be opened (%s); holding records in memory.", self._path, error
                )
            self._shut = True
            return
        if self._shut:
            logger.info("The spool %s is open.", self._path)
        self._shut = False

    def _opened(self) -> tuple[sqlite3.Connection, int]:
        """Open the file, and put a damaged one aside, since a machine must go on. Return also the bytes in use."""
        try:
            return self._connect()
        except sqlite3.OperationalError:
            # A full disk has no room for the index of the log, which is a file so that others can read beside us.
            return self._connect("EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            aside = self._path.with_suffix(".damaged")
            logger.error("The spool %s is damaged (%s); it is kept as %s.", self._path, error, aside)
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self, locking: str = "NORMAL") -> tuple[sqlite3.Connection, int]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(self._path, check_same_thread=False, timeout=5)
        try:
            database.execute(f"PRAGMA locking_mode = {locking}")
            database.execute("PRAGMA journal_mode = WAL")
            # A crash of the process loses nothing; a power cut may lose the last moments.
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(f"PRAGMA journal_size_limit = {4 * 2**20}")
            database.executescript(SCHEMA)
            size = database.execute("SELECT coalesce(sum(size), 0) FROM record").fetchone()[0]
            self._path.chmod(0o600)
        except (sqlite3.Error, OSError):
            database.close()
            raise
        return database, size


def _size_of(rows: list[tuple[int]]) -> int:
    return sum(row[0] for row in rows)
