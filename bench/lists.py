"""Speed of the list of an instance's 100,000 client accounts, beside a bare Django view over the same rows.

``python -m bench.lists`` measures both databases; ``make bench`` prints the same lines.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cuts import percentile
from tests.postgres import PostgresUnavailable, private_postgres

ACCOUNTS = 100_000
SESSIONS = 1_000
ROUNDS = 40
BARE = "bare Django view"
WANTED_MS, WANTED_QUERIES, WANTED_BYTES = 50, 8, 40 * 1024
# Query strings asked of the list; {rare} is one account's name.
QUERIES = {
    "first page": "",
    "page 1,500": "?page=1500",
    "by e-mail, downwards": "?sort=-email",
    "by last log-on": "?sort=-logon",
    "disabled ones": "?enabled=0",
    "enabled ones": "?enabled=1",
    "search: one account": "?q=person012345",
    "search: a tenth of all": "?q=7@example.org",
    "search: all": "?q=person",
    "search: nobody": "?q=nobody-at-all",
    "search: two words": "?q=person0+example",
}


@dataclass(frozen=True)
class Line:
    """Figures of one page: milliseconds by the clock and of our own processor time (median), queries, bytes of HTML."""

    page: str
    p50: float
    p95: float
    cpu: float
    queries: int
    html: int


def measure() -> list[Line]:
    """Fill the database of ``DATABASE_URL`` and time each page; the environment names the settings."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import setup_test_environment
    from django.urls import reverse

    setup_test_environment()
    call_command("migrate", verbosity=0)
    from bench import lists_world

    instance, user = lists_world.make(ACCOUNTS, SESSIONS)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("roaming:accounts", args=[instance.pk])
    lines = [_line(client, name, url + query) for name, query in QUERIES.items()]
    with lists_world.bare_urls():
        return [*lines, _line(client, BARE, f"/bare/{instance.pk}/")]


def _line(client: Any, name: str, url: str) -> Line:
    queries, html = cost(client, url)
    times, cpu = timed(partial(client.get, url), ROUNDS)
    p50, p95 = statistics.median(times), percentile(times, 95)
    return Line(name, p50, p95, statistics.median(cpu), queries, html)


def cost(client: Any, url: str) -> tuple[int, int]:
    """Return how many queries a page takes, and how many bytes of HTML the page has."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == 200, f"{url}: {answer.status_code}"
    return len(queries), len(answer.content)


def timed(answer: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Return milliseconds by the clock and of this process's CPU, in which other work on the machine does not count."""
    times, cpu = [], []
    for _ in range(rounds):
        started, busy = time.perf_counter(), time.process_time()
        answer()
        times.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - busy) * 1000)
    return times, cpu


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Yield name → URL of the databases: SQLite, and PostgreSQL where it can be had."""
    with tempfile.TemporaryDirectory(prefix="causeway-bench-lists-") as folder:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'lists.sqlite3'}"}
        try:
            # PostgreSQL is durable, as in operation: VACUUM passes over rows whose commit may not be on disk yet.
            with private_postgres(durable=True) as postgres:
                yield urls | {"PostgreSQL": postgres}
        except PostgresUnavailable:
            yield urls


def measured(url: str) -> list[Line]:
    """Run ``measure`` in a process of its own, since settings are read once a process."""
    with tempfile.TemporaryDirectory(prefix="causeway-bench-state-") as state:
        Path(state, "static").mkdir()
        environment = os.environ | {
            "DATABASE_URL": url,
            "CAUSEWAY_STATE_DIR": state,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        command = [sys.executable, "-m", "bench.lists", "--measure"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return [Line(**line) for line in json.loads(done.stdout)]


def table(database: str, lines: list[Line]) -> Table:
    bare = next(line for line in lines if line.page == BARE)
    heads = ("page", "p50", "p95", "processor", "to the bare view", "queries", "HTML")
    made = Table(*heads, title=f"{ACCOUNTS:,} accounts, {database}")
    for line in lines:
        slow = "  missed" if line.p95 > WANTED_MS and line is not bare else ""
        many = "  missed" if line.queries > WANTED_QUERIES else ""
        large = "  missed" if line.html > WANTED_BYTES else ""
        made.add_row(
            *(line.page, f"{line.p50:.1f} ms", f"{line.p95:.1f} ms{slow}"),
            *(f"{line.cpu:.1f} ms", f"{line.cpu / bare.cpu:.2f}"),
            *(f"{line.queries}{many}", f"{line.html / 1024:.1f} kB{large}"),
        )
    return made


def main(console: Console) -> None:
    with databases() as urls:
        for name, url in urls.items():
            console.print(table(name, measured(url)))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(json.dumps([asdict(line) for line in measure()]))
    else:
        main(Console(width=110))
