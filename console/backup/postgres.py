"""The PostgreSQL database in a backup: its rows, table by table, as COPY gives and takes them.

Tables are made by migrations, those that the backup had. So a backup goes into another version of PostgreSQL, and
needs no program of PostgreSQL's. All of a restore is one transaction: it is whole, or nothing has changed.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from console.backup.archive import PIECE, member
from console.backup.world import HOLDS_A_WORLD, WORLD
from console.core.errors import Conflict, Invalid

Cursor = Any
# Time for which PostgreSQL may still show the connection of a program that has ended.
LEAVING_SECONDS = 5.0
# Tables of the console, whose partitions come with them.
TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""
PARTITIONS = """
SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relnamespace = current_schema()::regnamespace AND c.relispartition AND c.relkind = 'r' ORDER BY c.relname
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"
# Keys and references, the latter first, since they rest on the former.
CONSTRAINTS = """
SELECT quote_ident(t.relname), quote_ident(o.conname), pg_get_constraintdef(o.oid)
FROM pg_constraint o JOIN pg_class t ON t.oid = o.conrelid
WHERE t.relnamespace = current_schema()::regnamespace AND o.contype IN ('f', 'p', 'u') AND o.conparentid = 0
ORDER BY o.contype = 'f' DESC, o.conname
"""
INDEXES = """
SELECT quote_ident(c.relname), replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ')
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition
    AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = c.oid)
"""
TRIGGER_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype
    AND pg_get_userbyid(p.proowner) = current_user
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


def _rows(cursor: Cursor, query: str) -> list[Any]:
    cursor.execute(query)
    return list(cursor.fetchall())


def _tables(cursor: Cursor) -> dict[str, list[str]]:
    return dict(_rows(cursor, TABLES))


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, names))


# -- Making a backup


@contextmanager
def snapshot() -> Iterator[dict[str, Any]]:
    """Have all that is read in the block be as at one moment, whatever the console writes; give the tables' shape."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield {"columns": _tables(cursor), "partitions": _rows(cursor, PARTITIONS)}


def members(shape: dict[str, Any], sizes: dict[str, int]) -> Iterator[bytes]:
    """Yield the rows as files of an archive, and note how large each table is."""
    with connection.cursor() as cursor:
        for table, columns in shape["columns"].items():
            sizes[table] = 0
            query = f"COPY (SELECT {_named(columns)} FROM {_named([table])}) TO STDOUT"  # noqa: S608
            with cursor.copy(query) as copy:
                for number, piece in enumerate(_pieces(copy)):
                    sizes[table] += len(piece)
                    yield from member(f"database/{table}/{number:06}", len(piece), [piece])


def counters() -> dict[str, int | None]:
    """Return the values of sequences, to be read last: a sequence knows of no snapshot, and must not be behind rows."""
    with connection.cursor() as cursor:
        return dict(_rows(cursor, SEQUENCES))


def _pieces(blocks: Iterable[Any]) -> Iterator[bytes]:
    held, size = [], 0
    for block in blocks:
        held.append(bytes(block))
        size += len(held[-1])
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


# -- Restoring


def check_free(*, replace: bool) -> None:
    """Raise `Conflict` for a database that is in use, is shared with others, or holds a world that may not go."""
    prefixes = ("django_", *(f"{app.label}_" for app in apps.get_app_configs()))
    with connection.cursor() as cursor:
        if others := _others(cursor):
            raise Conflict(f"{others} others use the database. End console and worker first.")
        tables = _tables(cursor)
        if strange := [name for name in tables if not name.startswith(prefixes)]:
            raise Conflict(
                f"The database holds tables of others: {', '.join(strange[:5])}. Restore into a database of its own."
            )
        if not replace and any(_has_rows(cursor, table) for table in tables if table in WORLD):
            raise Conflict(HOLDS_A_WORLD)


def _others(cursor: Cursor) -> int:
    """Count the other connections, once those that are about to end had the time for it."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while (others := int(_rows(cursor, OTHERS)[0][0])) and time.monotonic() < deadline:
        time.sleep(0.1)
    return others


def _has_rows(cursor: Cursor, table: str) -> bool:
    return bool(_rows(cursor, f"SELECT EXISTS (SELECT 1 FROM {_named([table])})")[0][0])  # noqa: S608


@contextmanager
def filling() -> Iterator[None]:
    """Fill the database in the block; nothing has changed unless the block ends well."""
    with transaction.atomic():
        yield
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE"
        )  # what the planner knows of tables that were empty a moment ago is worth nothing


def fill(
    tables: Iterable[tuple[str, Iterator[bytes]]], applied: dict[str, list[str]], shape: dict[str, Any]
) -> None:
    """Make the tables anew as the backup had them, and put the rows in."""
    with connection.cursor() as cursor:
        _clear(cursor)
        # Checks at once and not at the commit: PostgreSQL alters no table that has checks open.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _migrate_to(applied)
        for parent, name, bound in shape["partitions"]:
            made = f"CREATE TABLE IF NOT EXISTS {_named([name])} PARTITION OF {_named([parent])} {bound}"
            cursor.execute(made)
        known = _tables(cursor)
        if _sorted(known) != _sorted(shape["columns"]):
            raise Invalid(
                "The tables of the backup are not those that its migrations make. Nothing was restored."
            )
        with _bare(cursor, list(known)):
            for table, blocks in tables:
                _copy_in(cursor, table, shape["columns"][table], blocks)


def _sorted(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    return {table: sorted(columns) for table, columns in tables.items()}


def _clear(cursor: Cursor) -> None:
    for table in _tables(cursor):
        cursor.execute(f"DROP TABLE {_named([table])} CASCADE")
    for (function,) in _rows(cursor, TRIGGER_FUNCTIONS):
        cursor.execute(f"DROP FUNCTION {function} CASCADE")


def _migrate_to(applied: dict[str, list[str]]) -> None:
    """Migrate an empty database to what was applied, and no further."""
    executor = MigrationExecutor(connection)
    nodes = {(app, name) for app, names in applied.items() for name in names} & set(
        executor.loader.graph.nodes
    )
    behind = {parent.key for node in nodes for parent in executor.loader.graph.node_map[node].parents}
    executor.migrate(sorted(nodes - behind))


@contextmanager
def _bare(cursor: Cursor, tables: list[str]) -> Iterator[None]:
    """Empty tables, and make keys, references and indexes after the block, when they cost less; hold triggers off."""
    constraints, indexes = _rows(cursor, CONSTRAINTS), _rows(cursor, INDEXES)
    for table in tables:
        cursor.execute(f"ALTER TABLE {_named([table])} DISABLE TRIGGER USER")
    for table, name, _ in constraints:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    cursor.execute(f"TRUNCATE {_named(tables)}")
    yield
    cursor.execute("SET LOCAL maintenance_work_mem = '128MB'")
    for _, definition in indexes:
        cursor.execute(definition)
    for table, name, definition in reversed(constraints):
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for table in tables:
        cursor.execute(f"ALTER TABLE {_named([table])} ENABLE TRIGGER USER")


def _copy_in(cursor: Cursor, table: str, columns: list[str], blocks: Iterator[bytes]) -> None:
    rows = 0
    with cursor.copy(f"COPY {_named([table])} ({_named(columns)}) FROM STDIN") as copy:
        for block in blocks:
            rows += block.count(b"\n")
            copy.write(block)
    if cursor.rowcount != rows:
        raise Invalid(f"{cursor.rowcount} rows of {rows} of {table} arrived. Nothing was restored.")


def count_on(values: dict[str, int | None]) -> None:
    """Have sequences go on behind the rows."""
    with connection.cursor() as cursor:
        known = dict(_rows(cursor, SEQUENCES))
        for name, value in values.items():
            if value is not None and name in known:
                cursor.execute("SELECT setval(%s::regclass, %s)", [connection.ops.quote_name(name), value])
