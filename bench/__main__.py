"""``make bench``: measure in one run on this machine, print a table, name what is missing.

make bench ARGS="--rounds 9 --seconds 2 --cuts 100"
make bench ARGS="--reconnect 2000"     # only this: how a world of servers comes back after the console was away
make bench ARGS="--telemetry 600"      # only this: telemetry taken in for so many seconds, rolled up, drawn, told of
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import lists, telemetry
from bench.bandwidth import CAP_KBPS, measure_cap
from bench.bare_chain import start_bare_chain
from bench.cuts import measure_cuts, percentile
from bench.decide import WORLD, measure_decide
from bench.processes import Processes
from bench.product_chain import one_server, start_product_chain
from bench.reconnect import measure_reconnect, reconnect_table
from bench.ssh_chain import missing_programs, start_ssh_chain
from bench.traffic import Sink
from tests.demo import Demo, start_demo, stop_demo

STREAMS = (1, 8)
# The bare lab chain; OpenSSH's -L over -R in two hops.
CAUSEWAY, BARE, SSH = "Causeway", "bare Envoy", "OpenSSH"
# What is to be reached (design §9), as a ratio of Causeway to the other, by number of streams.
WANTED = {(BARE, 1): 0.9, (BARE, 8): 0.9, (SSH, 1): 1.5, (SSH, 8): 2.5}

CAP_TOLERANCE = 0.15
DECIDE_WANTED, DECIDE_RATIO = 50_000, 2.0

Rates = dict[tuple[str, int], list[float]]


def measure_rates(
    sink: Sink, processes: Processes, ports: dict[str, int], rounds: int, seconds: float
) -> Rates:
    """bit/s of every round; the chains take turns, so that what disturbs the machine disturbs all of them."""
    rates: Rates = defaultdict(list)
    for _ in range(rounds):
        for streams in STREAMS:
            for chain, port in ports.items():
                rates[chain, streams].append(sink.rate(processes, port, streams, seconds))
    return rates


def throughput_table(rates: Rates) -> Table:
    table = Table(
        "chain", "streams", "Gbit/s", "lowest–highest", "Causeway to it", "wanted", title="Throughput, upload"
    )
    median = {key: statistics.median(values) for key, values in rates.items()}
    for (chain, streams), values in sorted(rates.items(), key=lambda item: item[0][1]):
        ratio = wanted = ""
        if (chain, streams) in WANTED and (CAUSEWAY, streams) in median:
            # Round by round: what disturbed the machine in one is in both.
            pairs = zip(rates[CAUSEWAY, streams], values, strict=True)
            reached = statistics.median(ours / others for ours, others in pairs)
            goal = WANTED[chain, streams]
            ratio, wanted = f"{reached:.2f}", f"≥ {goal}" + ("" if reached >= goal else "  missed")
        spread = f"{min(values) / 1e9:.2f}–{max(values) / 1e9:.2f}"
        table.add_row(chain, str(streams), f"{median[chain, streams] / 1e9:.2f}", spread, ratio, wanted)
    return table


def cuts_table(demo: Demo, count: int) -> Table:
    cuts = measure_cuts(demo, count)
    table = Table(
        "from … to the end of the flow", "p50", "p95", "p99", "longest", title=f"Time to cut, {count} cuts"
    )
    for name, values in (
        ("the click's POST sent (upper bound of: its commit)", [cut.from_sent for cut in cuts]),
        ("the console's answer (negative: before it)", [cut.from_answer for cut in cuts]),
    ):
        table.add_row(name, *(f"{percentile(values, part) * 1000:.0f} ms" for part in (50, 95, 99, 100)))
    return table


def cap_table(demo: Demo, sink: Sink, seconds: float) -> Table:
    table = Table(
        "direction",
        "flows",
        "kbit/s",
        "of the cap",
        "wanted",
        title=f"An account with a cap of {CAP_KBPS:,} kbit/s",
    )
    for (direction, flows), rate in measure_cap(demo, sink, seconds).items():
        share = rate / CAP_KBPS
        missed = "" if abs(share - 1) <= CAP_TOLERANCE else "  missed"
        wanted = f"{1 - CAP_TOLERANCE:.2f}–{1 + CAP_TOLERANCE:.2f}{missed}"
        table.add_row(direction, str(flows), f"{rate:,.0f}", f"{share:.2f}", wanted)
    return table


def decide_table() -> Table:
    whole, tenth = measure_decide()
    applications, policies, accounts = WORLD
    table = Table("world", "decisions/s", "wanted", title="decide, on one core")
    table.add_row(
        f"{applications:,} applications, {policies:,} policies, {accounts:,} accounts",
        f"{whole:,.0f}",
        f"≥ {DECIDE_WANTED:,}" + ("" if whole >= DECIDE_WANTED else "  missed"),
    )
    ratio = tenth / whole
    missed = "" if ratio <= DECIDE_RATIO else "  missed"
    table.add_row("a tenth of each", f"{tenth:,.0f}", f"≤ {DECIDE_RATIO} × the above: {ratio:.2f}{missed}")
    return table


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of throughput; the median counts.")] = 9,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one measurement.")] = 2.0,
    cuts: Annotated[int, typer.Option(min=0, help="How many cuts to time; 0 leaves them out.")] = 100,
    cap: Annotated[bool, typer.Option(help="Measure how exactly a bandwidth cap is kept.")] = True,
    product: Annotated[
        bool, typer.Option(help="Measure Causeway itself, not only what it is compared to.")
    ] = True,
    reconnect: Annotated[
        int,
        typer.Option(min=0, help="Measure only how so many servers come back after the console was away."),
    ] = 0,
    telemetry_seconds: Annotated[
        float,
        typer.Option(
            "--telemetry",
            min=0,
            help="Measure only telemetry and alerts, on PostgreSQL and SQLite, reported for so many seconds.",
        ),
    ] = 0,
    away: Annotated[float, typer.Option(min=0, help="For how long the console is away.")] = 20.0,
    postgres: Annotated[bool, typer.Option(help="Measure this with PostgreSQL, not with SQLite.")] = False,
    with_lists: Annotated[
        bool, typer.Option("--lists/--no-lists", help="Time the list of 100,000 client accounts.")
    ] = True,
) -> None:
    """Throughput beside a bare Envoy chain and OpenSSH, bandwidth caps, decisions, the time to cut."""
    console, missing, ports = Console(width=max(100, Console().width)), [], {}
    if reconnect:
        kind = "PostgreSQL" if postgres else "SQLite"
        console.print(f"{reconnect:,} servers, a console on {kind}; this takes about two minutes ...")
        with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
            console.print(
                reconnect_table(measure_reconnect(Path(folder), reconnect, away, postgres=postgres))
            )
        return
    if telemetry_seconds:
        telemetry.main(telemetry_seconds)
        return
    with ExitStack() as stack:

        def processes() -> Processes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-bench-")))
            return stack.enter_context(Processes(folder))

        sink = Sink(sources := processes())
        demo = None
        if product:
            console.print("Starting the demo ...")
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-bench-demo-")))
            process, output = start_demo(home, "--fresh")
            stack.callback(stop_demo, process, home)
            demo = Demo(home, process, output)
            ports[CAUSEWAY] = start_product_chain(demo, processes(), sink.port)
        ports[BARE] = start_bare_chain(processes(), sink.port)
        if absent := missing_programs():
            missing.append(
                f"OpenSSH was not measured: {', '.join(absent)} not found (Debian: openssh-server)."
            )
        else:
            ports[SSH] = start_ssh_chain(processes(), sink.port)
        console.print(f"Measuring {', '.join(ports)}: {rounds} rounds of {seconds:g} s each ...")
        with one_server(demo) if demo else nullcontext():
            console.print(throughput_table(measure_rates(sink, sources, ports, rounds, seconds)))
        if demo and cap:
            console.print(cap_table(demo, sink, max(seconds, 5.0)))
        console.print(decide_table())
        if demo and cuts:
            console.print(cuts_table(demo, cuts))
    if with_lists:
        lists.main(console)
    for sentence in missing:
        console.print(sentence)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
