"""Soak of the whole data plane: flows that end in every way at random, for minutes, while Envoys' memory is watched.

    python -m bench.ends --minutes 60 --threads 16

A demo of its own carries the flows, on every way of `tests.pipe_demo`, of an account without and of one with a
bandwidth. No Envoy may end, no flow may be left open, and each flow that is not whole is told; at the end Envoys have a
minute and a half to let go of every connection of a flow.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer

from tests.demo import wait_until
from tests.pipe import Cell, Origin, Way, measure
from tests.pipe_demo import Ways, fitting, own_demo, ways

MODES = (
    *("app closes", "app half-closes", "app resets", "both"),
    *("client closes", "client goes on", "client half-closes", "client resets"),
)
SIZES = (0, 1, 1000, 100_000, 1_000_000)
CAPPED_SIZES = (0, 1, 1000, 20_000)
# Bytes of an account with a bandwidth after the application's end are not held back but charged for, and all flows of
# the account wait for that debt. So such a cell runs one at a time, and seldom.
CAPPED_AFTER_THE_END, ONE_IN = Cell("client goes on", 1_500_000), 300
TELL_SECONDS = 30.0
LET_GO_SECONDS = 90.0


def main(
    minutes: Annotated[float, typer.Option(min=0.1)] = 10.0,
    threads: Annotated[int, typer.Option(min=1)] = 16,
) -> None:
    """Soak, and tell every 30 s."""
    with own_demo("causeway-ends-") as (demo, origin, folder), ExitStack() as stack:
        plain = stack.enter_context(ways(demo, origin, folder))
        capped = stack.enter_context(ways(demo, origin, folder, demo.capped_account()))
        soak = Soak(origin, plain, capped)
        soak.run(minutes * 60, threads, Envoys(folder))


class Envoys:
    """Envoys that run below a folder, with what they hold in memory."""

    def __init__(self, folder: Path) -> None:
        self._running = [
            each
            for each in psutil.process_iter(["name", "cwd"])
            if each.info["name"] == "envoy" and (each.info["cwd"] or "").startswith(str(folder))
        ]

    def mebibytes(self) -> list[float]:
        """Return the resident memory of each Envoy, in MiB. Raises SystemExit when one has ended."""
        if ended := [each for each in self._running if not each.is_running() or each.status() == "zombie"]:
            raise SystemExit(f"{len(ended)} of {len(self._running)} Envoys have ended.")
        return [each.memory_info().rss / 2**20 for each in self._running]

    def kept(self) -> int:
        """Return how many connections the Envoys keep between a client's side of a flow and the application's."""
        count = 0
        for process in self._running:
            transport = httpx.HTTPTransport(uds=f"{process.cwd()}/admin.sock")
            with httpx.Client(transport=transport, base_url="http://envoy") as admin:
                text = admin.get("/stats", params={"filter": r"^cluster\.ends\.upstream_cx_active$"}).text
            count += sum(int(line.rpartition(" ")[2]) for line in text.splitlines())
        return count


class Soak:
    def __init__(self, origin: Origin, plain: Ways, capped: Ways) -> None:
        self._origin = origin
        self._ways: list[tuple[str, Callable[[], Way], tuple[int, ...]]] = [
            (name, way, SIZES) for name, way in plain.items()
        ]
        self._ways += [(f"{name} capped", way, CAPPED_SIZES) for name, way in capped.items()]
        self._seen: Counter[str] = Counter()
        self._stop = 0.0
        self._in_debt = threading.Lock()

    def run(self, seconds: float, threads: int, envoys: Envoys) -> None:
        began = time.monotonic()
        self._stop = began + seconds
        running = [threading.Thread(target=self._flows, daemon=True) for _ in range(threads)]
        for thread in running:
            thread.start()
        while alive := [thread for thread in running if thread.is_alive()]:
            alive[0].join(TELL_SECONDS)
            memory = " ".join(f"{each:.0f}" for each in envoys.mebibytes())
            count = sum(self._seen.values())
            print(f"{time.monotonic() - began:6.0f} s  {count:8,} flows  MiB: {memory}", flush=True)
        for what, count in sorted(self._seen.items()):
            print(f"{count:8,}  {what}")
        print(f"No Envoy ended. MiB: {' '.join(f'{each:.0f}' for each in envoys.mebibytes())}")
        print(f"{envoys.kept()} connections of flows that have ended are left;", end=" ", flush=True)
        wait_until(lambda: envoys.kept() == 0, LET_GO_SECONDS, what="the last connection of a flow")
        print("later none.")

    def _flows(self) -> None:
        while time.monotonic() < self._stop:
            name, way, sizes = random.choice(self._ways)
            cell = random.choice(fitting(name, [Cell(mode, random.choice(sizes)) for mode in MODES]))
            if random.random() < 0.2:  # the client is gone in the middle of the cell
                _abandon(way, cell)
                self._seen["abandoned"] += 1
                continue
            if sizes is CAPPED_SIZES and not name.startswith("http") and not random.randrange(ONE_IN):
                if not self._in_debt.acquire(blocking=False):
                    continue
                try:
                    verdict = measure(self._origin, way, cell := CAPPED_AFTER_THE_END)
                finally:
                    self._in_debt.release()
            else:
                verdict = measure(self._origin, way, cell)
            self._seen[verdict.word] += 1
            if verdict.word != "whole":
                print(f"{name}, {cell}: {verdict.word}, {verdict.detail}", flush=True)


def _abandon(way: Callable[[], Way], cell: Cell) -> None:
    with suppress(OSError):
        flow = way()
        flow.send(f"{cell.mode.replace(' ', '_')} abandoned {cell.size} 0\n".encode())
        if not cell.mode.startswith("client") and random.random() < 0.5:  # there are bytes to receive
            flow.receive()
        flow.reset()


if __name__ == "__main__":
    typer.run(main)
