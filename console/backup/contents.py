"""What is in a backup, in this order: manifest, settings, wheels, database, end.

The database comes last, so that a restore knows all else when the rows arrive. ``end.json`` says how large each table
is, so that a table which lacks a part is noticed.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from django.db import connection
from pyrage.x25519 import Identity

from console.backup import archive, postgres, sqlite, variables, world
from console.backup.archive import Member, member
from console.core.errors import Invalid
from console.machines import wheels
from edge import version

FORMAT = 1
WHEEL = re.compile(r"wheel/(causeway-[\w.+-]+\.whl)")
DATABASE = re.compile(r"database/(\w+)/\d+")
Tables = Iterable[tuple[str, Iterator[bytes]]]


class Database(Protocol):
    """What a kind of database can do: `console.backup.postgres` and `console.backup.sqlite`."""

    def snapshot(self) -> Any: ...
    def members(self, shape: dict[str, Any], sizes: dict[str, int]) -> Iterator[bytes]: ...
    def counters(self) -> dict[str, int | None]: ...
    def check_free(self, *, replace: bool) -> None: ...
    def filling(self) -> Any: ...
    def fill(self, tables: Tables, applied: dict[str, list[str]], shape: dict[str, Any]) -> None: ...
    def count_on(self, values: dict[str, int | None]) -> None: ...


def database() -> Database:
    """Return the way of this console's database. Raises `Invalid` where there is none."""
    if connection.vendor == "postgresql":
        return postgres
    if connection.vendor == "sqlite":
        return sqlite
    raise Invalid("A backup is made of PostgreSQL or SQLite. Name one of them in DATABASE_URL.")


# -- Writing


def members() -> Iterator[bytes]:
    """Yield everything that a backup of this console holds."""
    way = database()
    with way.snapshot() as shape:
        if not (applied := world.applied()):
            raise Invalid("There is no console in this database. Name the console's in DATABASE_URL.")
        manifest = {
            "format": FORMAT,
            "release": version(),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database": connection.vendor,
            "migrations": applied,
            "shape": shape,
        }
        yield from _json("manifest.json", manifest)
        yield from _json("settings.json", variables.present())
        for path in wheels.wheels():
            status = path.stat()
            yield from member(f"wheel/{path.name}", status.st_size, _file(path), status.st_mtime)
        sizes: dict[str, int] = {}
        yield from way.members(shape, sizes)
        yield from _json("end.json", {"sizes": sizes, "counters": way.counters()})


def _json(name: str, value: Any) -> Iterator[bytes]:
    text = json.dumps(value).encode()
    return member(name, len(text), [text])


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(archive.PIECE):
            yield block


# -- Reading


@dataclass
class Backup:
    """What a backup says of itself; ``end`` is known when everything was read."""

    manifest: dict[str, Any]
    settings: dict[str, str]
    wheels: list[str] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the database, unpacked."""
        return sum(self.end["sizes"].values())


def read(
    path: Path,
    key: Identity,
    *,
    wheel: Callable[[str, Member], None] | None = None,
    tables: Callable[[Backup, Tables], None] | None = None,
) -> Backup:
    """Read a whole backup. ``wheel`` and ``tables`` take what they are given; without them all is only looked at.

    Raises `Invalid` for a backup that is damaged, incomplete or none.
    """
    with archive.opened(path, key) as members:
        found = Backup(_loaded(members, "manifest.json"), _loaded(members, "settings.json"))
        sizes: dict[str, int] = {}
        rest = iter(members)
        for each in rest:
            if not (name := WHEEL.fullmatch(each.name)):
                rest = itertools.chain([each], rest)
                break
            found.wheels.append(name[1])
            if wheel is not None:
                wheel(name[1], each)
        (tables or _look)(found, _tables(rest, sizes, found))
    if {table: size for table, size in found.end.get("sizes", {"": 1}).items() if size} != sizes:
        raise Invalid(f"{path} lacks a part of the database. Nothing was read from it.")
    return found


def _loaded(members: Iterator[Member], name: str) -> Any:
    first = next(members, None)
    if first is None or first.name != name:
        raise Invalid("The file was not made by a console of Causeway.")
    return json.loads(b"".join(first.blocks()))


def _tables(members: Iterable[Member], sizes: dict[str, int], found: Backup) -> Tables:
    """Yield (table, its blocks) and count them; read the end as well."""

    def table_of(each: Member) -> str:
        name = DATABASE.fullmatch(each.name)
        return name[1] if name else ""

    for table, parts in itertools.groupby(members, table_of):
        if not table:
            found.end = json.loads(b"".join(block for part in parts for block in part.blocks()))
            return
        sizes[table] = 0
        yield table, _counted(parts, table, sizes)


def _counted(parts: Iterable[Member], table: str, sizes: dict[str, int]) -> Iterator[bytes]:
    for part in parts:
        for block in part.blocks():
            sizes[table] += len(block)
            yield block


def _look(found: Backup, tables: Tables) -> None:
    for _, blocks in tables:
        for _ in blocks:
            pass
