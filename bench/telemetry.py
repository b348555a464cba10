"""Speed at which the console takes telemetry, rolls it up, draws it and tells of alerts, on PostgreSQL and SQLite.

    python -m bench.telemetry --seconds 600
    python -m bench.telemetry --seconds 20 --postgres-servers 1000 --sqlite-servers 200 --history-servers 50

Console and PostgreSQL share one core where the system lets a process be bound to one; the simulated servers and the
console's worker have another. Roll-ups and charts are measured in a world of their own, which ``bench.telemetry_world``
fills.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.cuts import percentile
from bench.processes import console_environment
from bench.telemetry_alerts import measure_alerts
from bench.telemetry_load import (
    SAMPLE_SECONDS,
    Load,
    Server,
    bind_to_core,
    console_running,
    run_load,
    running,
    world,
)
from tests.ports import free_port
from tests.postgres import private_postgres
from tests.running import ROOT

POSTGRES, SQLITE = "PostgreSQL", "SQLite"
WANTED_P99, WANTED_ROLLUP, WANTED_CHART, WANTED_ALERT = 0.250, 60.0, 0.050, 15.0
MOST_TURNED_AWAY = 0.05
# With more servers than MANY the console asks for reports every 30 s, as ``CAUSEWAY_TELEMETRY_INTERVAL`` would say.
MANY, INTERVAL, INTERVAL_OF_MANY = 1000, 10, 30
LOUD = 10


@dataclass
class Found:
    """Result of one database. ``chart``: seconds by the range's name; ``cores``: busy for console, database, worker."""

    servers: int
    load: Load
    stored: int
    cores: tuple[float, float, float]
    alerts: list[float]
    rollup: float
    rolled_up: int
    chart: dict[str, dict[str, float]]


@contextmanager
def fresh_console(database: str, port: int, interval: int) -> Iterator[tuple[dict[str, str], Path]]:
    """Yield the environment of a console, not started yet, on an empty database, and a folder for the console."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-bench-telemetry-")))
        if database == POSTGRES:
            url = stack.enter_context(private_postgres(durable=True))
        else:
            url = f"sqlite:///{folder / 'db'}"
        more = {"CAUSEWAY_TELEMETRY_INTERVAL": str(interval), "CAUSEWAY_PUSH_ALLOW_PRIVATE": "1"}
        environment = console_environment(folder, f"http://127.0.0.1:{port}", url, **more)
        for command in (["migrate", "-v0"], ["collectstatic", "-v0", "--noinput"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
        yield environment, folder


def measure(database: str, servers: int, history: int, seconds: float) -> Found:
    """Have ``servers`` report for ``seconds``; ``history``: number of servers with a day and a month behind them."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        load, stored, busy, alerts = _measure_ingest(database, servers, seconds)
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
    with fresh_console(database, free_port(), INTERVAL) as (environment, folder):
        world(environment, "servers", str(history), str(folder / "servers.json"))
        rolled = world(environment, "rollup", str(history), "1")
        chart = world(environment, "chart", str(history), "30")["charts"]
    return Found(servers, load, stored, busy, alerts, rolled["rollup_seconds"], rolled["Sample"], chart)


def _measure_ingest(
    database: str, servers: int, seconds: float
) -> tuple[Load, int, tuple[float, float, float], list[float]]:
    interval = INTERVAL if servers <= MANY else INTERVAL_OF_MANY
    port = free_port()
    bind_to_core(0)  # database and console, which are started from here on
    with fresh_console(database, port, interval) as (environment, folder):
        keys = folder / "servers.json"
        world(environment, "servers", str(servers), str(keys))
        with console_running(environment, port, folder / "console.log") as process:
            bind_to_core(1)
            simulated = [Server(name, key, interval) for name, key in json.loads(keys.read_text())]
            alerts = measure_alerts(environment, simulated[:LOUD], port, folder)
            before = world(environment, "count")["samples"]
            for server in simulated:
                server.begin()
            # Samples are rolled up and watched for alerts meanwhile, as in operation.
            with running("manage.py", "worker", environment=environment, log=folder / "worker.log") as worker:
                load, busy = run_load(simulated, port, interval, seconds, (process.pid, worker.pid))
            stored = world(environment, "count")["samples"] - before
    return load, stored, busy, alerts


# --- The table --------------------------------------------------------------------------------------------------------


def _mark(reached: bool) -> str:
    return "" if reached else "  missed"


Line = tuple[str, Callable[[Found], tuple[str, bool]], str]


def _lines(history: int, seconds: float) -> list[Line]:
    """Return the lines to show: label, (value, whether as wanted) of one database, and what is wanted."""

    def p(part: float) -> Callable[[Found], tuple[str, bool]]:
        return lambda found: (f"{percentile(found.load.seconds, part) * 1000:.0f} ms", True)

    def p99(found: Found) -> tuple[str, bool]:
        took = percentile(found.load.seconds, 99)
        return f"{took * 1000:.0f} ms", took <= WANTED_P99

    def rate(found: Found) -> tuple[str, bool]:
        sent = found.load.acknowledged / seconds
        return f"{sent:,.0f}", sent >= 0.98 * found.servers / SAMPLE_SECONDS

    def answers(found: Found) -> tuple[str, bool]:
        counts = found.load.statuses
        # A server that is told to come again (503) loses nothing: the samples that were not taken stay for later.
        fine = counts.keys() <= {"200", "503"} and counts["503"] <= MOST_TURNED_AWAY * counts.total()
        return ", ".join(f"{status}: {count:,}" for status, count in counts.items()), fine

    def busy(found: Found) -> tuple[str, bool]:
        return f"{found.cores[0]:.2f} + {found.cores[1]:.2f}", sum(found.cores[:2]) <= 1

    def lost(found: Found) -> tuple[str, bool]:
        return f"{found.load.acknowledged - found.stored:,}", found.load.acknowledged == found.stored

    def chart(found: Found) -> tuple[str, bool]:
        times = found.chart["30d"]
        return f"{times['median_ms']:.0f} (longest {times['worst_ms']:.0f}) ms", times[
            "median_ms"
        ] <= WANTED_CHART * 1000

    def alert(found: Found) -> tuple[str, bool]:
        return f"{max(found.alerts):.1f} s", max(found.alerts) <= WANTED_ALERT

    return [
        (f"samples a second, for {seconds:g} s", rate, "1,000 of 10,000 servers; 100 of 1,000"),
        ("an ingest call, p50", p(50), ""),
        ("an ingest call, p95", p(95), ""),
        ("an ingest call, p99", p99, f"≤ {WANTED_P99 * 1000:.0f} ms"),
        ("an ingest call, longest", p(100), ""),
        ("answers", answers, f"200; 503 with a turn at most {MOST_TURNED_AWAY:.0%}"),
        ("acknowledged, but not stored", lost, "0"),
        ("console + database, cores busy", busy, "≤ 1"),
        ("worker beside them, cores busy", lambda found: (f"{found.cores[2]:.2f}", True), ""),
        (
            f"rolling up a day of {history:,} servers",
            lambda found: (f"{found.rollup:.1f} s", found.rollup <= WANTED_ROLLUP),
            f"≤ {WANTED_ROLLUP:.0f} s",
        ),
        (f"30-day chart of one of {history:,} servers", chart, f"≤ {WANTED_CHART * 1000:.0f} ms"),
        (f"alert to webhook, longest of {LOUD}", alert, f"≤ {WANTED_ALERT:.0f} s"),
        ("the simulation itself was late by at most", lambda found: (f"{found.load.late * 1000:.0f} ms", True), ""),
    ]  # fmt: skip


def telemetry_table(found: dict[str, Found], history: int, seconds: float) -> Table:
    """Return a table with a column for each database."""
    heads = [f"{database}, {each.servers:,} servers" for database, each in found.items()]
    table = Table("figure", *heads, "wanted", title="Telemetry")
    for label, value, wanted in _lines(history, seconds):
        cells = [value(each) for each in found.values()]
        table.add_row(label, *(text + _mark(reached) for text, reached in cells), wanted)
    return table


def main(
    seconds: Annotated[
        float, typer.Option(min=1, help="Seconds for which servers report; 600 is to be sustained.")
    ] = 60,
    postgres_servers: Annotated[int, typer.Option(min=0, help="Servers on PostgreSQL; 0: none.")] = 10_000,
    sqlite_servers: Annotated[int, typer.Option(min=0, help="Servers on SQLite; 0: none.")] = 1000,
    history_servers: Annotated[
        int,
        typer.Option(min=1, help="Servers with a day of samples to be rolled up, and a month to be drawn."),
    ] = 1000,
) -> None:
    """Measure how telemetry is taken in, rolled up and drawn, and how alerts are told."""
    console, found = Console(width=max(100, Console().width)), {}
    wanted = {POSTGRES: postgres_servers, SQLITE: sqlite_servers}
    for database, servers in wanted.items():
        if servers:
            console.print(f"{database}, {servers:,} servers for {seconds:g} s ...")
            found[database] = measure(database, servers, history_servers, seconds)
    console.print(telemetry_table(found, history_servers, seconds))
    several = (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity")
    console.print("Console and database on one core." if several else "Not bound to one core.")


if __name__ == "__main__":
    typer.run(main)
