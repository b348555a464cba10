"""Check that every byte arrives, whoever ends first: the cells of `tests.pipe` on all ways of a demo of its own.

    python -m bench.pipe --rounds 2 --ways h2,forward --json results.json

The same cells go through ``ssh -L``, squid and tinyproxy as well, where these are installed.
"""

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.others import others
from bench.processes import Processes
from tests.pipe import Cell, Origin, Verdict, measure
from tests.pipe_demo import CAPPED, Ways, fitting, own_demo, ways

MB = 1_000_000
CELLS = [
    *(Cell("app closes", size) for size in (1000, 100_000, MB, 5 * MB, 50 * MB)),
    Cell("app closes", 5 * MB, 2 * MB),
    Cell("app closes", 3 * MB, MB // 5),
    Cell("app half-closes", 5 * MB),
    Cell("app resets", MB),
    *(Cell("client closes", size) for size in (1000, 3 * MB, 50 * MB)),
    Cell("client closes", 5 * MB, 2 * MB),
    Cell("client closes", 3 * MB, MB // 5),
    Cell("client goes on", 5 * MB),
    Cell("client half-closes", 1000),
    Cell("client half-closes", 5 * MB),
    Cell("client resets", MB),
    Cell("both", 5 * MB),
]
# Bytes sent after the application's end are not held back, but charged for: the next cell waits for some seconds.
CAPPED_CELLS = [*CAPPED, Cell("client goes on", 3 * MB // 2)]
SIGNS = {"whole": "green", "error": "yellow", "short": "red", "hang": "red"}


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    only: Annotated[
        str, typer.Option("--ways", help="Beginnings of the ways' names, with commas; all ways by default.")
    ] = "",
    largest: Annotated[int, typer.Option(help="Leave out cells of more bytes than this.")] = 50 * MB,
    result: Annotated[Path | None, typer.Option("--json", help="File for every cell's verdict.")] = None,
) -> None:
    """Measure each cell on each way, and print a table."""
    console, found = Console(width=150), Results(rounds, largest, only)
    with own_demo("causeway-pipe-") as (demo, origin, folder), ExitStack() as stack:
        with ways(demo, origin, folder) as product:
            found.measure(origin, product, CELLS)
        with ways(demo, origin, folder, demo.capped_account()) as product:
            found.measure(origin, {f"{name} capped": way for name, way in product.items()}, CAPPED_CELLS)
        processes = stack.enter_context(Processes(Path(tempfile.mkdtemp(dir=folder))))
        found.measure(origin, others(processes, origin.port), CELLS)
    console.print(found.table())
    if result is not None:
        result.write_text(json.dumps(found.told(), indent=1))


class Results:
    """Verdicts by way and cell."""

    def __init__(self, rounds: int, largest: int, only: str) -> None:
        self._rounds, self._largest, self._only = rounds, largest, tuple(filter(None, only.split(",")))
        self._found: dict[tuple[str, Cell], list[Verdict]] = {}

    def measure(self, origin: Origin, by_name: Ways, cells: list[Cell]) -> None:
        """Run all cells on all ways, one after the other; a cell that is not whole is told at once."""
        for name, way in by_name.items():
            for cell in fitting(name, cells):
                wanted = name.startswith(self._only or "") and cell.size <= self._largest
                if not wanted:
                    continue
                began = time.monotonic()
                verdicts = [measure(origin, way, cell) for _ in range(self._rounds)]
                self._found[name, cell] = verdicts
                worst = next((each for each in verdicts if each.word != "whole"), verdicts[0])
                print(
                    f"{time.monotonic() - began:5.1f} s  {name:24} {cell!s:32} {worst.word:6} {worst.detail}",
                    flush=True,
                )

    def table(self) -> Table:
        """Return a table, a row for each way: the cells that were whole in all rounds, and what others were."""
        table = Table("way", "whole", "error (seen by the reader)", "short, with a clean end", "no end")
        for name in dict.fromkeys(name for name, _ in self._found):
            cells = {cell: verdicts for (way, cell), verdicts in self._found.items() if way == name}
            worst = {
                cell: max(verdicts, key=lambda each: list(SIGNS).index(each.word)).word
                for cell, verdicts in cells.items()
            }
            by_word = {word: [str(cell) for cell, found in worst.items() if found == word] for word in SIGNS}
            whole = f"{len(by_word['whole'])} of {len(cells)}"
            table.add_row(name, whole, *("; ".join(by_word[word]) for word in ("error", "short", "hang")))
        return table

    def told(self) -> dict[str, dict[str, list[str]]]:
        told: dict[str, dict[str, list[str]]] = {}
        for (name, cell), verdicts in self._found.items():
            told.setdefault(name, {})[str(cell)] = [f"{each.word}: {each.detail}" for each in verdicts]
        return told


if __name__ == "__main__":
    typer.run(main)
