"""Bandwidth charts: a Plotly figure as plain data, and the words beside it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from connectors.telemetry import store
from connectors.telemetry.store import Series


@dataclass(frozen=True)
class Range:
    """A span that a chart can show. ``width``: seconds of one point, longer than a sample so that each has one."""

    name: str
    label: str
    span: timedelta
    width: int


RANGES = {
    item.name: item
    for item in (
        Range("1h", "1 hour", timedelta(hours=1), 15),
        Range("6h", "6 hours", timedelta(hours=6), 60),
        Range("24h", "24 hours", timedelta(hours=24), 300),
    )
}
DEFAULT = RANGES["1h"]


def legal_range(name: str) -> Range:
    return RANGES.get(name, DEFAULT)


def series(servers: list[str], chosen: Range, now: datetime | None = None) -> Series:
    """What the servers together measured in the range that ends now."""
    end = now or timezone.now()
    return store.series(servers, start=end - chosen.span, end=end, width=chosen.width)


def figure(measured: Series) -> dict[str, Any]:
    """Receive and send as two lines with a lightly filled area; nothing is drawn where nothing was measured."""
    times = [moment.isoformat(timespec="seconds").replace("+00:00", "Z") for moment in measured.times]
    return {
        "data": [
            _line("Receive", "receive", times, measured.receive),
            _line("Send", "send", times, measured.send),
        ],
        "layout": {
            "xaxis": {
                "type": "date",
                "title": {"text": "Time (UTC)", "font": {"size": 12}, "standoff": 4},
                "range": [times[0], times[-1]],
            },
            "yaxis": {
                "title": {"text": "bit/s", "font": {"size": 12}},
                "rangemode": "tozero",
                "tickformat": ".3~s",
                # A quiet hour is a flat line at the bottom, not noise blown up.
                "minallowed": 0,
            },
            "hovermode": "x unified",
        },
    }


def _line(name: str, color: str, times: list[str], values: list[float | None]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": times,
        "y": [None if value is None else round(value, 1) for value in values],
        "connectgaps": False,
        "fill": "tozeroy",
        "hovertemplate": "%{y:.3~s}bit/s",
        "meta": {"color": color},
    }


@dataclass(frozen=True)
class Words:
    """One line's figures in bit/s over the measured points; ``at`` is when the peak was."""

    peak: float
    at: datetime
    average: float
    percentile_95: float


def words(measured: Series, values: list[float | None]) -> Words | None:
    """None when nothing was measured."""
    found = [(value, time) for value, time in zip(values, measured.times, strict=True) if value is not None]
    if not found:
        return None
    peak, at = max(found)
    ordered = sorted(value for value, _ in found)
    # Nearest rank: the smallest measured value that 95 % of the points do not exceed.
    rank = -(-len(ordered) * 95 // 100)
    return Words(peak, at, sum(ordered) / len(ordered), ordered[rank - 1])
