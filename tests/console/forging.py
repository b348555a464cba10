"""Changes of audit rows by somebody who owns the table, and whom no trigger hinders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def as_owner_of_the_table() -> Iterator[None]:
    """Let audit rows be changed and deleted meanwhile."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE console_auditrow DISABLE TRIGGER USER")
            yield
            cursor.execute("ALTER TABLE console_auditrow ENABLE TRIGGER USER")
            return
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'console_auditrow'"
        )
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, made in triggers:
            cursor.execute(made)


def emptying(execute: Any) -> Any:
    """Wrap the function that empties all tables after a test: audit rows go first, which triggers else refuse."""

    def wrapper(operations: Any, statements: list[str]) -> None:
        if any("console_auditrow" in each for each in statements):
            with operations.connection.cursor() as cursor, as_owner_of_the_table():
                cursor.execute("DELETE FROM console_auditrow")
        execute(operations, statements)

    return wrapper
