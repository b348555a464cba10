"""Made-up requests by the hundred thousand, as every role, to every URL: pages, Django admin, edge API.

``python -m bench.fuzz`` fails for any answer of 500 and above but a 503 with a turn, for a redirect to another host, a
stack trace or a secret in an answer, and for a page that shows what was sent as it was sent. The request that caused
the failure is printed, with the command that makes its story again. Requests go to Django in this process, which makes
a database of its own; a database of the given server is never touched.

    python -m bench.fuzz --requests 100000 --database postgres
    python -m bench.fuzz --seed 7 --story 12
"""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.postgres import private_postgres

if TYPE_CHECKING:
    from tests.fuzz.stories import Told

WHEEL = "causeway-0.2.0-py3-none-any.whl"
SAID_EVERY_SECONDS = 30


@contextmanager
def server(wanted: str) -> Iterator[str]:
    """Yield the URL of a database server: SQLite in a folder of its own, a private PostgreSQL, or the given one."""
    if wanted == "postgres":
        with private_postgres() as url:
            yield url
    elif wanted == "sqlite":
        with tempfile.TemporaryDirectory(prefix="causeway-fuzz-") as folder:
            yield f"sqlite:///{Path(folder) / 'fuzz.sqlite3'}"
    else:
        yield wanted


@contextmanager
def console(url: str) -> Iterator[None]:
    """Set Django up with the tests' settings and a test database beside the one of ``url``."""
    with tempfile.TemporaryDirectory(prefix="causeway-fuzz-state-") as state:
        Path(state, "static").mkdir()
        Path(state, WHEEL).write_bytes(b"wheel")
        os.environ |= {"DATABASE_URL": url, "CAUSEWAY_STATE_DIR": state, "CAUSEWAY_WHEEL_DIR": state}
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "CAUSEWAY_LOG_LEVEL": "ERROR"}
        import django

        django.setup()
        from django.test.utils import setup_databases, setup_test_environment, teardown_databases

        setup_test_environment()
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=["default"])
        try:
            yield
        finally:
            teardown_databases(made, verbosity=0)


def empty() -> None:
    """Empty all tables, and bring back what the migrations wrote."""
    from django.core.management import call_command
    from django.db import connection

    from tests.console.forging import as_owner_of_the_table

    with as_owner_of_the_table():  # of the audit nobody else can delete a row
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    connection.creation.deserialize_db_from_string(connection._test_serialized_contents)  # type: ignore[attr-defined]


def tell(told: Told, began: float) -> None:
    """Say how far the run is."""
    took = time.monotonic() - began
    speed = told.requests / took
    print(f"{told.requests:,} requests in {took:.0f} s, {speed:.0f}/s; {len(told.faults)} faults", flush=True)


def run(numbers: Iterable[int], seed: int, wanted: int, roles: Sequence[str]) -> Told:
    """Run stories until so many requests were sent; print each fault as it is found."""
    from tests.fuzz.cast import ROLES, Cast
    from tests.fuzz.stories import Errors, Story, Told, quiet
    from tests.fuzz.targets import Map

    with quiet(Errors()):
        cast = Cast()
        known = Map(cast.client("superuser"), cast.ids)
    told, began, said = Told(), time.monotonic(), time.monotonic()
    for number in numbers:
        empty()
        before = len(told.faults)
        Story(seed, number, roles or ROLES, told).run(known)
        for fault in told.faults[before:]:
            print(f"\n{fault}\nAgain: python -m bench.fuzz --seed {seed} --story {number}", flush=True)
        if told.requests >= wanted:
            break
        if time.monotonic() - said > SAID_EVERY_SECONDS:
            said = time.monotonic()
            tell(told, began)
    tell(told, began)
    return told


def summary(told: Told) -> Table:
    """Return the table of answers: a row for each role, a column for each status."""
    statuses = sorted({status for _, status in told.counts})
    table = Table("role", "requests", *map(str, statuses))
    for role in sorted({role for role, _ in told.counts}):
        counts = [told.counts[role, status] for status in statuses]
        table.add_row(role, f"{sum(counts):,}", *(f"{count:,}" if count else "" for count in counts))
    return table


def main(
    requests: Annotated[
        int, typer.Option(min=1, help="How many requests, rounded up to whole stories.")
    ] = 100_000,
    seed: Annotated[int | None, typer.Option(help="Seed of all stories; without one, any.")] = None,
    story: Annotated[int | None, typer.Option(help="Number of the one story to run again.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Who sends; without one, everybody.")] = None,
    database: Annotated[str, typer.Option(help="sqlite, postgres, or the URL of a server.")] = "sqlite",
) -> None:
    """Send made-up requests; exit with 1 for a fault."""
    seed = secrets.randbelow(2**32) if seed is None else seed
    numbers = itertools.count() if story is None else [story]
    print(f"--seed {seed} --database {database}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no database stays behind
    with server(database) as url, console(url):
        told = run(numbers, seed, requests, role or [])
    Console(width=160).print(summary(told))
    for slow in told.slow:
        print(f"Slow: {slow}")
    sys.exit(1 if told.faults else 0)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
