"""``make bench``: measure in one run on this machine, print a table, name what is missing.

make bench ARGS="--starts 3 --rounds 3 --seconds 2 --cuts 100"

Run by themselves, with ``python -m``: bench.lists, bench.connectors, bench.imports, bench.telemetry, bench.reconnect.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import lists
from bench.bandwidth import cap_table
from bench.bare_chain import start_bare_chain
from bench.cuts import cuts_table
from bench.decide import decide_table
from bench.processes import Processes
from bench.product_chain import one_server, start_product_chain
from bench.ssh_chain import missing_programs, start_ssh_chain
from bench.throughput import BARE, CAUSEWAY, SSH, Rates, measure_rates, throughput_table
from bench.traffic import Sink
from tests.demo import Demo, running_demo


def main(
    starts: Annotated[int, typer.Option(min=1, help="How often all chains are started anew.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of throughput a start; the median counts.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one measurement.")] = 2.0,
    cuts: Annotated[int, typer.Option(min=0, help="How many cuts to time; 0 leaves them out.")] = 100,
    cap: Annotated[bool, typer.Option(help="Measure how exactly a bandwidth cap is kept.")] = True,
    product: Annotated[
        bool, typer.Option(help="Measure Causeway itself, not only what it is compared to.")
    ] = True,
    ssh: Annotated[bool, typer.Option(help="Measure OpenSSH too, where it is installed.")] = True,
    with_lists: Annotated[
        bool, typer.Option("--lists/--no-lists", help="Time the list of 100,000 client accounts.")
    ] = True,
) -> None:
    """Throughput beside a bare Envoy chain and OpenSSH, bandwidth caps, decisions, the time to cut."""
    console = Console(width=max(100, Console().width))
    rates: Rates = defaultdict(list)
    for start in range(1, starts + 1):
        with ExitStack() as stack:
            chains = Chains(console, stack)
            demo = chains.start_product() if product else None
            chains.start_others(ssh=ssh)
            names = ", ".join(chains.ports)
            console.print(f"Start {start} of {starts}: {names}, {rounds} rounds of {seconds:g} s each ...")
            with one_server(demo) if demo else nullcontext():
                measure_rates(rates, chains.sink, chains.sources, chains.ports, rounds, seconds)
            if start == starts:
                console.print(throughput_table(rates))
                if demo:
                    one_demo(console, demo, chains.sink, seconds, cuts=cuts, cap=cap)
    console.print(decide_table())
    if with_lists:
        lists.main(console)
    for program in missing_programs() if ssh else ():
        console.print(f"OpenSSH was not measured: {program} was not found (Debian: openssh-server).")


def one_demo(console: Console, demo: Demo, sink: Sink, seconds: float, *, cuts: int, cap: bool) -> None:
    """Print what one start is enough for: bandwidth caps and the time to cut."""
    if cap:
        console.print(cap_table(demo, sink, max(seconds, 5.0)))
    if cuts:
        console.print(cuts_table(demo, cuts))


class Chains:
    """Chains to be compared, by the port at which each begins; all lead to one sink and live as long as ``stack``.

    Which of an Envoy's threads share a core is settled at its start, and moves a ratio by a fifth: start several times.
    """

    def __init__(self, console: Console, stack: ExitStack) -> None:
        self._console, self._stack = console, stack
        self.ports: dict[str, int] = {}
        self.sources = self._processes()
        self.sink = Sink(self.sources)

    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-bench-")))

    def _processes(self) -> Processes:
        return self._stack.enter_context(Processes(self._folder()))

    def start_product(self) -> Demo:
        self._console.print("Starting the demo ...")
        demo = self._stack.enter_context(running_demo(self._folder()))
        self.ports[CAUSEWAY] = start_product_chain(demo, self._processes(), self.sink.port)
        return demo

    def start_others(self, *, ssh: bool) -> None:
        self.ports[BARE] = start_bare_chain(self._processes(), self.sink.port)
        if ssh and not missing_programs():
            self.ports[SSH] = start_ssh_chain(self._processes(), self.sink.port)


if __name__ == "__main__":
    typer.run(main)
