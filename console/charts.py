"""Charts over time: Plotly figures as plain data, and the words beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Values = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """``color``: a name of the style sheet's ("receive", "send", "3", "4"); None in ``values`` is a gap."""

    name: str
    color: str
    values: Values


def figure(
    times: Sequence[datetime], lines: Sequence[Line], *, unit: str, whole: bool = False
) -> dict[str, Any]:
    """Lines with a lightly filled area. ``unit`` stands on the axis; ``whole``: steps of whole numbers."""
    x = [moment.isoformat(timespec="seconds").replace("+00:00", "Z") for moment in times]
    y_axis: dict[str, Any] = {
        "title": {"text": unit, "font": {"size": 12}},
        "rangemode": "tozero",
        # A quiet hour is a flat line at the bottom, not noise blown up.
        "minallowed": 0,
    }
    y_axis |= {"tickformat": ",d"} if whole else {"tickformat": ".3~s"}
    return {
        "data": [_trace(line, x, unit, whole) for line in lines],
        "layout": {
            "xaxis": {
                "type": "date",
                "title": {"text": "Time (UTC)", "font": {"size": 12}, "standoff": 4},
                "range": [x[0], x[-1]],
            },
            "yaxis": y_axis,
            "hovermode": "x unified",
        },
    }


def _trace(line: Line, x: list[str], unit: str, whole: bool) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": line.name,
        "x": x,
        "y": [None if value is None else round(value, 1) for value in line.values],
        "connectgaps": False,
        "fill": "tozeroy",
        "hovertemplate": "%{y:,d}" if whole else f"%{{y:.3~s}}{unit}",
        "line": {"shape": "hv"} if whole else {},
        "meta": {"color": line.color},
    }


@dataclass(frozen=True)
class Words:
    """One line's figures over the measured points; ``at`` is when the peak was."""

    peak: float
    at: datetime
    average: float
    percentile_95: float


def words(times: Sequence[datetime], values: Values) -> Words | None:
    """None when nothing was measured."""
    found = [(value, time) for value, time in zip(values, times, strict=True) if value is not None]
    if not found:
        return None
    peak = max(value for value, _ in found)
    at = next(time for value, time in found if value == peak)
    ordered = sorted(value for value, _ in found)
    # Nearest rank: the smallest measured value that 95 % of the points do not exceed.
    rank = -(-len(ordered) * 95 // 100)
    return Words(peak, at, sum(ordered) / len(ordered), ordered[rank - 1])
