"""Time and memory of a backup and a restore of a large world.

    python -m bench.restore --servers 1000 --hours 48 --accounts 10000 --database postgresql

A world is put into a database of its own: client accounts, servers, and their last samples, one each ten seconds. Then
the commands run as an administrator runs them, and the restore goes into another, empty database.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.demo import ROOT
from tests.postgres import private_postgres

WANTED_SECONDS = 180.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Step:
    """Command that was run. ``peak``: the most memory that its process had, in bytes."""

    words: str
    seconds: float
    peak: int


def run(words: str, environment: dict[str, str], *arguments: str) -> Step:
    """Run a Python program to its end. Raises ``RuntimeError`` when the program fails."""
    command = [sys.executable, *arguments]
    started = time.monotonic()
    _, status, usage = os.wait4(os.posix_spawn(sys.executable, command, environment), 0)
    if status:
        raise RuntimeError(f"{' '.join(arguments)} failed; its output stands above.")
    return Step(words, time.monotonic() - started, usage.ru_maxrss * 1024)


def fill(servers: int, hours: int, accounts: int) -> None:
    """Fill the database that the environment names; for a process of its own."""
    import django

    django.setup()
    from bench.lists_world import make
    from bench.telemetry_world import fill_samples, make_servers
    from connectors.models import Server
    from console.machines import pki

    pki.ca_pem(), pki.session_signing_key()
    make(accounts, accounts // 10)
    with tempfile.TemporaryDirectory() as folder:
        make_servers(servers, Path(folder) / "keys")
    end = datetime.fromtimestamp(time.time() // 300 * 300, UTC)
    begin = end - timedelta(hours=hours)
    starts = range(int(begin.timestamp()), int(end.timestamp()), 300)
    fill_samples(list(Server.objects.values_list("pk", flat=True)), starts)


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the URLs of two empty databases."""
    if kind != "postgresql":
        yield f"sqlite:///{folder / 'one.sqlite3'}", f"sqlite:///{folder / 'two.sqlite3'}"
        return
    import psycopg

    with private_postgres(durable=True) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE two")
        yield url, url.removesuffix("/postgres") + "/two"


def measure(kind: str, servers: int, hours: int, accounts: int, folder: Path) -> tuple[list[Step], int]:
    """Return the steps and the size of the backup in bytes."""
    key, file = folder / "key", folder / "backup"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")} | {
        "CAUSEWAY_SECRET_KEY": secrets.token_urlsafe(50), "CAUSEWAY_PUBLIC_URL": "http://127.0.0.1",
        "CAUSEWAY_ALLOWED_HOSTS": "127.0.0.1", "CAUSEWAY_STATE_DIR": str(folder / "state"),
        "DJANGO_SETTINGS_MODULE": "console.settings", "CAUSEWAY_HTTPS_ONLY": "0", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    manage = str(ROOT / "manage.py")
    (folder / "state").mkdir()
    with databases(kind, folder) as (old, new):
        there = environment | {"DATABASE_URL": old}
        run("migrate", there, manage, "migrate", "-v0")
        world = [str(number) for number in (servers, hours, accounts)]
        run("fill", there, "-m", "bench.restore", "--fill", *world)
        run("key", there, manage, "backup", "--new-key", str(key))
        with_key = [str(file), "--key-file", str(key)]
        steps = [
            run("backup", there, manage, "backup", *with_key),
            run("check", there, manage, "backup", *with_key, "--check"),
            run("restore", environment | {"DATABASE_URL": new}, manage, "restore", *with_key),
        ]
        return steps, file.stat().st_size


def main(
    servers: Annotated[int, typer.Option(help="Connector servers.")] = 1000,
    hours: Annotated[int, typer.Option(help="Hours of samples.")] = 48,
    accounts: Annotated[int, typer.Option(help="Client accounts.")] = 10_000,
    database: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
    folder: Annotated[Path | None, typer.Option(help="Where there is room for the world.")] = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="causeway-bench-restore-", dir=folder) as place:
        steps, size = measure(database, servers, hours, accounts, Path(place))
    samples = servers * hours * 360
    title = (
        f"{accounts:,} accounts, {samples:,} samples, {database}; the backup has {size / MEBIBYTE:,.0f} MiB"
    )
    table = Table("command", "seconds", "most memory", title=title)
    for step in steps:
        late = "  missed" if step.words == "restore" and step.seconds > WANTED_SECONDS else ""
        table.add_row(step.words, f"{step.seconds:.1f}{late}", f"{step.peak / MEBIBYTE:.0f} MiB")
    Console(width=110).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fill"]:
        fill(*map(int, sys.argv[2:]))
    else:
        typer.run(main)
