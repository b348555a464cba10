"""Charts: a Plotly figure as plain data, the words beside it, and the same as rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.telemetry import store
from connectors.telemetry.store import Gauge, Series, ServerSeries
from connectors.telemetry.windows import Window
from console.templatetags.causeway import bitrate

Values = list[float | None]
# What a stack names one by one; the others are added up.
MOST_IN_STACK = 8


@dataclass(frozen=True)
class Kind:
    """What a server's chart can show. ``gauge``: the field of ``ServerSeries``; empty for bandwidth."""

    name: str
    label: str
    gauge: str = ""
    unit: str = "bit/s"


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
    """What the servers (None: all) together measured."""
    return store.series(servers, start=window.start, end=window.end, width=window.width)


def per_server(servers: Sequence[str] | None, window: Window) -> dict[str, ServerSeries]:
    return store.per_server(servers, start=window.start, end=window.end, width=window.width)


# --- Figures ----------------------------------------------------------------------------------------------------------


def bandwidth(measured: Series, *, servers: int = 1) -> dict[str, Any]:
    """Receive and send as two lines with a lightly filled area, and their peaks; nothing is drawn where unmeasured.

    The peaks of several ``servers`` need not have been at the same moment: their sum is an upper bound, and says so.
    """
    times = _times(measured)
    peak = "peak" if servers <= 1 else "peak, at most"
    return {
        "data": [
            _line("Receive", "receive", times, measured.receive, "bit/s"),
            _line("Send", "send", times, measured.send, "bit/s"),
            _peak_line(f"Receive, {peak}", "receive", times, measured.receive_peak, "bit/s"),
            _peak_line(f"Send, {peak}", "send", times, measured.send_peak, "bit/s"),
        ],
        "layout": _layout(measured, "bit/s"),
    }


def gauge(measured: ServerSeries | None, shown: Kind, window: Window) -> dict[str, Any]:
    """One value of a server: its average as a line, its peak dotted."""
    empty = store.empty(start=window.start, end=window.end, width=window.width)
    values = Gauge(empty.receive, empty.send) if measured is None else gauge_of(measured, shown)
    times = _times(measured or empty)
    return {
        "data": [
            _line("Average", "receive", times, values.average, shown.unit),
            _peak_line("Peak", "send", times, values.peak, shown.unit),
        ],
        "layout": _layout(measured or empty, shown.unit),
    }


def gauge_of(measured: ServerSeries, shown: Kind) -> Gauge:
    found: Gauge = getattr(measured, shown.gauge)
    return found


def stacked(measured: Mapping[str, ServerSeries], names: Mapping[str, str], window: Window) -> dict[str, Any]:
    """Receive and send together, one bar upon the other for each server; the quieter ones of many are added up."""
    empty = store.empty(start=window.start, end=window.end, width=window.width)
    sums = {server: _both(each) for server, each in measured.items()}
    order = sorted(
        sums, key=lambda server: (-sum(value or 0 for value in sums[server]), names.get(server, server))
    )
    bars = [
        _bar(names.get(server, server), empty, sums[server], place)
        for place, server in enumerate(order[:MOST_IN_STACK])
    ]
    if rest := order[MOST_IN_STACK:]:
        added = [_sum(values) for values in zip(*(sums[server] for server in rest), strict=True)]
        bars.append(_bar(f"{len(rest)} others", empty, added, MOST_IN_STACK))
    return {"data": bars, "layout": {**_layout(empty, "bit/s"), "barmode": "stack", "bargap": 0}}


def _both(measured: Series) -> Values:
    return [_sum(pair) for pair in zip(measured.receive, measured.send, strict=True)]


def _sum(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def _times(measured: Series) -> list[str]:
    return [_iso(moment) for moment in measured.times]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _layout(measured: Series, unit: str) -> dict[str, Any]:
    times = _times(measured)
    return {
        # chart.js writes both in the viewer's zone, as all times on the pages are.
        "xaxis": {
            "type": "date",
            "title": {"text": "Time (UTC)", "font": {"size": 12}, "standoff": 4},
            "range": [times[0], times[-1]],
        },
        "yaxis": {
            "title": {"text": unit, "font": {"size": 12}},
            "rangemode": "tozero",
            "tickformat": ".3~s" if unit == "bit/s" else "~g",
            # A quiet hour is a flat line at the bottom, not noise blown up.
            "minallowed": 0,
        },
        "hovermode": "x unified",
    }


def _line(name: str, color: str, times: list[str], values: Values, unit: str) -> dict[str, Any]:
    digits = 1 if unit == "bit/s" else 2
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": times,
        "y": [None if value is None else round(value, digits) for value in values],
        "connectgaps": False,
        "fill": "tozeroy",
        "hovertemplate": "%{y:.3~s}bit/s" if unit == "bit/s" else f"%{{y:.4~g}} {unit}",
        "meta": {"color": color},
    }


def _peak_line(name: str, color: str, times: list[str], values: Values, unit: str) -> dict[str, Any]:
    line = _line(name, color, times, values, unit)
    del line["fill"]
    return {**line, "line": {"dash": "dot", "width": 1}}


def _bar(name: str, frame: Series, values: Values, place: int) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": _times(frame),
        "y": [None if value is None else round(value, 1) for value in values],
        "width": frame.width * 1000,
        "offset": 0,
        "hovertemplate": "%{y:.3~s}bit/s",
        "meta": {"color": ("receive", "send", "3", "4")[place % 4]},
        # The same four colours again, lighter.
        "opacity": (1.0, 0.6, 0.35)[place // 4],
    }


# --- Words ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """One line's figures over the measured points; ``at`` is when the peak was."""

    peak: float
    at: datetime
    average: float
    percentile_95: float


def words(measured: Series, values: Values, peaks: Values | None = None) -> Words | None:
    """None when nothing was measured. ``peaks``: where the peak is looked for; the averages unless given."""
    found = [value for value in values if value is not None]
    highest = [
        (peak, time) for peak, time in zip(peaks or values, measured.times, strict=True) if peak is not None
    ]
    if not found or not highest:
        return None
    peak, at = max(highest, key=lambda pair: pair[0])
    ordered = sorted(found)
    # Nearest rank: the smallest measured value that 95 % of the points do not exceed.
    rank = -(-len(ordered) * 95 // 100)
    return Words(peak, at, sum(ordered) / len(ordered), ordered[rank - 1])


@dataclass(frozen=True)
class Row:
    """A line in words, ready to read."""

    label: str
    average: str
    percentile_95: str
    peak: str
    at: datetime | None


def rows(measured: Series | None, *, servers: int = 1) -> list[Row]:
    """Receive and send in words. Of several servers the peak is that of their averages, which is exact."""
    if measured is None:
        return [_row("Receive", None, "bit/s"), _row("Send", None, "bit/s")]
    single = servers <= 1
    return [
        _row(
            "Receive", words(measured, measured.receive, measured.receive_peak if single else None), "bit/s"
        ),
        _row("Send", words(measured, measured.send, measured.send_peak if single else None), "bit/s"),
    ]


def server_rows(measured: ServerSeries | None, shown: Kind) -> list[Row]:
    if not shown.gauge:
        return rows(measured)
    if measured is None:
        return [_row(shown.label, None, shown.unit)]
    values = gauge_of(measured, shown)
    return [_row(shown.label, words(measured, values.average, values.peak), shown.unit)]


def _row(label: str, found: Words | None, unit: str) -> Row:
    if found is None:
        return Row(label, "—", "—", "—", None)

    def text(value: float) -> str:
        return bitrate(value) if unit == "bit/s" else f"{value:.3g} {unit}"

    return Row(label, text(found.average), text(found.percentile_95), text(found.peak), found.at)


# --- Rows for download ------------------------------------------------------------------------------------------------

_TRAFFIC = ("receive_bit_s", "send_bit_s", "receive_peak_bit_s", "send_peak_bit_s")
_GAUGES = ("cpu_percent", "memory_percent", "latency_ms", "loss_percent")


def table(measured: Series) -> Iterator[list[str]]:
    """Header and rows; empty where unmeasured. Of one server also what it measured beside traffic."""
    columns = [measured.receive, measured.send, measured.receive_peak, measured.send_peak]
    header = ["time_utc", *_TRAFFIC]
    if isinstance(measured, ServerSeries):
        for name, found in zip(
            _GAUGES, (measured.cpu, measured.memory, measured.latency, measured.loss), strict=True
        ):
            header += [name, f"{name}_peak"]
            columns += [found.average, found.peak]
    yield header
    for time, *values in zip(_times(measured), *columns, strict=True):
        yield [time, *("" if value is None else f"{value:.3f}" for value in values)]
