"""One hostile client beside a working console: what pages, cuts and log-ons of everybody else cost then.

A demo is started and attacked by a process of its own (`tests.hostile`): bodies that come byte by byte, connections
without a word of TLS, wrong log-ons from many addresses. Meanwhile ``/healthz`` is asked, a connector is switched off
under open flows, and right passwords log on from other addresses.

    python -m bench.hostile --slow 500 --silent 500 --guesses 200 --addresses 20 --cuts 100
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.cuts import measure_cuts, percentile
from tests.demo import Demo, start_demo, stop_demo
from tests.hostile import beside

MIB = 2**20
LOOK_SECONDS = 0.05
LOGON_SECONDS = 0.5
HEALTHZ_LIMIT, CUT_LIMIT, LOGON_LIMIT, MEMORY_LIMIT = 0.25, 0.15, 1.5, 600.0


@dataclass
class Seen:
    """What was seen beside the client: seconds of good answers, answers that were none, and MiB of the console."""

    healthz: list[float] = field(default_factory=list)
    logons: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def client(demo: Demo, address: str) -> httpx.Client:
    """Return a client that calls the console from an address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=demo.console, transport=transport, timeout=30, trust_env=False)


def ask_healthz(demo: Demo, seen: Seen) -> None:
    """Time one answer, over a connection of its own."""
    with client(demo, "127.0.0.1") as caller:
        began = time.monotonic()
        status = caller.get("/healthz").status_code
        if status == 200:
            seen.healthz.append(time.monotonic() - began)
        else:
            seen.others[f"healthz: {status}"] += 1


def log_on(demo: Demo, account: dict[str, Any], address: str, seen: Seen) -> None:
    """Time one log-on with the right password, told-to-come-again included, and log off."""
    with client(demo, address) as caller:
        began = time.monotonic()
        while (
            answer := caller.post("/edge/v1/login", json=account | {"kind": "connect"})
        ).status_code == 503:
            seen.others["log-on: told to come again"] += 1
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.status_code != 200:
            seen.others[f"log-on: {answer.status_code}"] += 1
            return
        seen.logons.append(time.monotonic() - began)
        caller.post("/edge/v1/logout", json={"token": answer.json()["token"]})


def weigh(demo: Demo, seen: Seen) -> None:
    """Sum up what the console's processes have for themselves, and their shares of what they have in common."""
    main = psutil.Process(demo.pid("console"))
    total = 0
    for process in [main, *main.children(recursive=True)]:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    seen.memory.append(total / MIB)


@contextmanager
def again_and_again(work: Callable[[], None], pause: float, seen: Seen) -> Iterator[None]:
    """Do work in a thread, with a pause after each time, until the block ends."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                work()
            except httpx.HTTPError as error:
                seen.others[type(error).__name__] += 1
            stop.wait(pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measure(demo: Demo, attack: list[str] | None, cuts: int) -> Seen:
    """Look for as long as the cuts take; beside an attack, or without one for comparison."""
    seen = Seen()
    accounts = demo.world["accounts"]
    # Places from which these accounts have logged on before: guesses from elsewhere do not slow them there.
    places = [(each, f"127.0.0.{30 + number}") for number, each in enumerate(accounts)]
    for account, address in places:
        log_on(demo, account, address, Seen())
    turns = iter(range(10**9))
    with ExitStack() as stack:
        stack.enter_context(beside(demo.console, *attack) if attack else nullcontext())
        stack.enter_context(again_and_again(lambda: ask_healthz(demo, seen), LOOK_SECONDS, seen))
        stack.enter_context(
            again_and_again(
                lambda: log_on(demo, *places[next(turns) % len(places)], seen), LOGON_SECONDS, seen
            )
        )
        stack.enter_context(again_and_again(lambda: weigh(demo, seen), 1.0, seen))
        seen.cuts = [cut.from_sent for cut in measure_cuts(demo, cuts)]
    return seen


def table(title: str, seen: Seen) -> tuple[Table, bool]:
    """Return a table of what was seen, and whether each figure is within its limit."""
    drawn = Table("", "p50", "p95", "p99", "longest", "number", "limit", title=title)
    kept = True
    for name, values, percent, limit in (
        ("/healthz", seen.healthz, 99, HEALTHZ_LIMIT),
        ("switch-off: POST sent to end of flow", seen.cuts, 99, CUT_LIMIT),
        ("log-on with the right password", seen.logons, 95, LOGON_LIMIT),
    ):
        values = values or [math.inf]
        parts = [f"{percentile(values, part) * 1000:.0f} ms" for part in (50, 95, 99, 100)]
        kept = kept and percentile(values, percent) <= limit
        drawn.add_row(name, *parts, str(len(values)), f"p{percent} ≤ {limit * 1000:.0f} ms")
    most = max(seen.memory)
    drawn.add_row(
        "memory of the console",
        "",
        "",
        "",
        f"{most:.0f} MiB",
        str(len(seen.memory)),
        f"≤ {MEMORY_LIMIT:.0f} MiB",
    )
    return drawn, kept and most <= MEMORY_LIMIT


def main(
    slow: Annotated[int, typer.Option(help="Connections whose bodies come byte by byte.")] = 500,
    silent: Annotated[int, typer.Option(help="Connections without a word, at console and gateways.")] = 500,
    guesses: Annotated[int, typer.Option(help="Wrong log-ons a second.")] = 200,
    addresses: Annotated[int, typer.Option(help="Addresses from which they come.")] = 20,
    cuts: Annotated[int, typer.Option(min=1, help="How many switch-offs to time.")] = 100,
    quiet: Annotated[bool, typer.Option(help="First measure the same without the hostile client.")] = True,
) -> None:
    """Measure what everybody else notices of one hostile client; exit code 1 beyond a limit."""
    out = Console(width=max(110, Console().width))
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
        home = Path(folder) / "demo"
        process, output = start_demo(home, "--fresh")
        try:
            demo = Demo(home, process, output)
            ports = [demo.console, *(each["proxy"] for each in demo.world["gateways"])]
            attack = [
                f"--slow={slow}",
                f"--silent={silent}",
                f"--guesses={guesses}",
                f"--addresses={addresses}",
            ]
            attack += [f"--silent-at={url.rpartition(':')[2]}" for url in ports]
            attack += [f"--account={each['instance']}/{each['username']}" for each in demo.world["accounts"]]
            if quiet:
                out.print(table("Without the hostile client", measure(demo, None, cuts))[0])
            seen = measure(demo, attack, cuts)
        finally:
            stop_demo(process, home)
    drawn, kept = table(f"Beside {slow} slow bodies, {silent} silent, {guesses} wrong log-ons a second", seen)
    out.print(drawn)
    for what, count in sorted(seen.others.items()):
        out.print(f"  {what}: {count} times")
    if not kept:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
