"""Bytes a second through whole chains, one round after the other, and how the product compares."""

import statistics

from rich.table import Table

from bench.processes import Processes
from bench.traffic import Sink

STREAMS = (1, 8)
# Names of the chains: the product, the bare lab chain, and OpenSSH's -L over -R in two hops.
CAUSEWAY, BARE, SSH = "Causeway", "bare Envoy", "OpenSSH"
# The goal: a ratio of Causeway to another chain, by number of streams.
WANTED = {(BARE, 1): 0.9, (BARE, 8): 0.9, (SSH, 1): 1.5, (SSH, 8): 2.5}

UPLOAD, DOWNLOAD = "upload", "download"
Rates = dict[tuple[str, int, str], list[float]]  # by chain, number of streams, direction


def measure_rates(
    rates: Rates, sink: Sink, processes: Processes, ports: dict[str, int], rounds: int, seconds: float
) -> None:
    """Add bit/s of every round; the chains take turns, so that what disturbs the machine disturbs all chains."""
    for _ in range(rounds):
        for streams in STREAMS:
            for chain, port in ports.items():
                rates[chain, streams, UPLOAD].append(sink.rate(processes, port, streams, seconds))
                rates[chain, streams, DOWNLOAD].append(sink.download_rate(processes, port, streams, seconds))


def throughput_table(rates: Rates) -> Table:
    table = Table(
        *("chain", "direction", "streams", "Gbit/s", "lowest–highest", "Causeway to it", "wanted"),
        title="Throughput",
    )
    median = {key: statistics.median(values) for key, values in rates.items()}
    for (chain, streams, direction), values in sorted(rates.items(), key=lambda item: item[0][:0:-1]):
        ratio = wanted = ""
        if (chain, streams) in WANTED and (CAUSEWAY, streams, direction) in median:
            # Ratios are of the same round: what disturbed the machine then is in both rates.
            pairs = zip(rates[CAUSEWAY, streams, direction], values, strict=True)
            reached = statistics.median(ours / others for ours, others in pairs)
            goal = WANTED[chain, streams]
            ratio, wanted = f"{reached:.2f}", f"≥ {goal}" + ("" if reached >= goal else "  missed")
        spread = f"{min(values) / 1e9:.2f}–{max(values) / 1e9:.2f}"
        speed = f"{median[chain, streams, direction] / 1e9:.2f}"
        table.add_row(chain, direction, str(streams), speed, spread, ratio, wanted)
    return table
