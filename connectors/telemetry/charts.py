"""Charts of servers' samples: the figure, the words beside the figure, and the same as rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.telemetry import store
from connectors.telemetry.store import Gauge, Series, ServerSeries
from console.kit import charts
from console.kit.charts import BITS, Line, Row
from console.kit.windows import Window

# Number of servers that a stack names one by one; the others are added up.
MOST_IN_STACK = 8


@dataclass(frozen=True)
class Kind:
    """Kind of value that a server's chart shows. ``gauge``: the field of ``ServerSeries``; empty for bandwidth."""

    name: str
    label: str
    gauge: str = ""
    unit: str = BITS


KINDS = {
    kind.name: kind
    for kind in (
        Kind("bandwidth", "Bandwidth"),
        Kind("cpu", "CPU Utilization", "cpu", "%"),
        Kind("memory", "Memory Usage", "memory", "%"),
        Kind("latency", "Latency", "latency", "ms"),
        Kind("loss", "Packet Loss Rate", "loss", "%"),
    )
}
BANDWIDTH = KINDS["bandwidth"]


def kind(name: str) -> Kind:
    return KINDS.get(name, BANDWIDTH)


def series(servers: Sequence[str] | None, window: Window) -> Series:
    """Read what the servers (None: all) together measured."""
    return store.series(servers, start=window.start, end=window.end, width=window.width)


def per_server(servers: Sequence[str] | None, window: Window) -> dict[str, ServerSeries]:
    return store.per_server(servers, start=window.start, end=window.end, width=window.width)


# --- Figures ----------------------------------------------------------------------------------------------------------


def bandwidth(measured: Series, *, servers: int = 1) -> dict[str, Any]:
    """Draw receive and send, and their peaks.

    Peaks of several ``servers`` need not have been at the same moment: the label says that their sum is added up.
    """
    peak = "peak" if servers <= 1 else "servers' peaks added up"
    lines = [
        Line("Receive", "receive", measured.receive),
        Line("Send", "send", measured.send),
        Line(f"Receive, {peak}", "receive", measured.receive_peak, peak=True),
        Line(f"Send, {peak}", "send", measured.send_peak, peak=True),
    ]
    return charts.figure(measured.times, lines, unit=BITS)


def gauge(measured: ServerSeries | None, shown: Kind, window: Window) -> dict[str, Any]:
    """Draw one value of a server: its average as a line, its peak dotted."""
    empty = store.empty(start=window.start, end=window.end, width=window.width)
    values = Gauge(empty.receive, empty.send) if measured is None else gauge_of(measured, shown)
    lines = [Line("Average", "receive", values.average), Line("Peak", "send", values.peak, peak=True)]
    return charts.figure((measured or empty).times, lines, unit=shown.unit)


def gauge_of(measured: ServerSeries, shown: Kind) -> Gauge:
    found: Gauge = getattr(measured, shown.gauge)
    return found


def stacked(measured: Mapping[str, ServerSeries], names: Mapping[str, str], window: Window) -> dict[str, Any]:
    """Draw receive and send together, one bar upon the other for each server; the quieter of many are added up."""
    empty = store.empty(start=window.start, end=window.end, width=window.width)
    sums = {server: _both(each) for server, each in measured.items()}
    order = sorted(sums, key=lambda pk: (-sum(value or 0 for value in sums[pk]), names.get(pk, pk)))
    known = [names.get(server, server) for server in order]
    bars = [
        # Tell machines of one name apart: those made from one image have one.
        (name if known.count(name) == 1 else f"{name} …{server[-4:]}", sums[server])
        for name, server in zip(known[:MOST_IN_STACK], order, strict=False)
    ]
    if rest := order[MOST_IN_STACK:]:
        added = [_sum(values) for values in zip(*(sums[server] for server in rest), strict=True)]
        bars.append((f"{len(rest)} others", added))
    return charts.stack(empty.times, bars, width=window.width, unit=BITS)


def _both(measured: Series) -> list[float | None]:
    return [_sum(pair) for pair in zip(measured.receive, measured.send, strict=True)]


def _sum(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


# --- Words ------------------------------------------------------------------------------------------------------------


def rows(measured: Series | None, *, servers: int = 1) -> list[Row]:
    """Put receive and send in words. Of several servers the peak is that of their averages, which is exact."""
    if measured is None:
        return [charts.row(label, None, BITS) for label in ("Receive", "Send")]
    ways = (
        ("Receive", measured.receive, measured.receive_peak),
        ("Send", measured.send, measured.send_peak),
    )
    return [
        charts.row(label, charts.words(measured.times, values, peaks if servers <= 1 else None), BITS)
        for label, values, peaks in ways
    ]


def server_rows(measured: ServerSeries | None, shown: Kind) -> list[Row]:
    if not shown.gauge:
        return rows(measured)
    if measured is None:
        return [charts.row(shown.label, None, shown.unit)]
    values = gauge_of(measured, shown)
    return [charts.row(shown.label, charts.words(measured.times, values.average, values.peak), shown.unit)]


# --- Rows for download ------------------------------------------------------------------------------------------------

_TRAFFIC = ("receive_bit_s", "send_bit_s", "receive_peak_bit_s", "send_peak_bit_s")
_GAUGES = ("cpu_percent", "memory_percent", "latency_ms", "loss_percent")


def table(measured: Series) -> tuple[list[str], Iterator[list[Any]]]:
    """Return header and rows, empty where unmeasured; of one server also what it measured beside traffic."""
    columns = [measured.receive, measured.send, measured.receive_peak, measured.send_peak]
    header = ["time_utc", *_TRAFFIC]
    if isinstance(measured, ServerSeries):
        gauges = (measured.cpu, measured.memory, measured.latency, measured.loss)
        for name, found in zip(_GAUGES, gauges, strict=True):
            header += [name, f"{name}_peak"]
            columns += [found.average, found.peak]
    return header, charts.table(measured.times, columns)
