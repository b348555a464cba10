"""Charts over time: Plotly figures as plain data, the words beside them, and the same values as rows.

Times of a figure are UTC; chart.js writes them in the viewer's zone, as all times on the pages are, and colours the
traces. None among the values is a gap: nothing was measured there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from console.templatetags.causeway import bitrate

Values = Sequence[float | None]
BITS = "bit/s"
COLORS = ("receive", "send", "3", "4")
# Strengths of each colour, so that a stack has twelve.
STRENGTHS = (1.0, 0.6, 0.35)
FEW = 6


@dataclass(frozen=True)
class Line:
    """A line of a figure. ``color``: one of ``COLORS``. ``peak``: dotted and without an area below it."""

    name: str
    color: str
    values: Values
    peak: bool = False


# --- Figures ----------------------------------------------------------------------------------------------------------


def figure(
    times: Sequence[datetime], lines: Sequence[Line], *, unit: str, whole: bool = False
) -> dict[str, Any]:
    """Draw lines with a lightly filled area. ``unit`` stands on the axis; ``whole``: steps of whole numbers."""
    x = [iso(moment) for moment in times]
    found = layout(times, unit, whole)
    if whole and max((value or 0 for line in lines for value in line.values), default=0) <= FEW:
        found["yaxis"]["dtick"] = 1  # else the axis says 0, 0, 1, 1, 1
    return {"data": [_trace(line, x, unit, whole) for line in lines], "layout": found}


def stack(
    times: Sequence[datetime], bars: Sequence[tuple[str, Values]], *, width: int, unit: str
) -> dict[str, Any]:
    """Draw bars ``width`` seconds wide, one upon the other; (name, values) of at most twelve."""
    x = [iso(moment) for moment in times]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": x,
            "y": _rounded(values, unit),
            "width": width * 1000,
            "offset": 0,
            "hovertemplate": _hover(unit),
            "meta": {"color": COLORS[place % len(COLORS)]},
            "opacity": STRENGTHS[place // len(COLORS)],
        }
        for place, (name, values) in enumerate(bars)
    ]
    return {"data": data, "layout": {**layout(times, unit), "barmode": "stack", "bargap": 0}}


def layout(times: Sequence[datetime], unit: str, whole: bool = False) -> dict[str, Any]:
    """Make axes from the first to the last of ``times`` and from 0 on."""
    return {
        "xaxis": {
            "type": "date",
            "title": {"text": "Time (UTC)", "font": {"size": 12}, "standoff": 4},
            "range": [iso(times[0]), iso(times[-1])],
        },
        "yaxis": {
            "title": {"text": unit, "font": {"size": 12}},
            "rangemode": "tozero",
            # Axis from 0 on, so that a quiet hour is a flat line at the bottom, not noise blown up.
            "minallowed": 0,
            "tickformat": ",d" if whole else ".3~s" if unit == BITS else "~g",
        },
        "hovermode": "x unified",
    }


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _trace(line: Line, x: list[str], unit: str, whole: bool) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": line.name,
        "x": x,
        "y": _rounded(line.values, unit),
        "connectgaps": False,
        "hovertemplate": _hover(unit, whole),
        "meta": {"color": line.color},
        **({} if line.peak else {"fill": "tozeroy"}),
        "line": {"dash": "dot", "width": 1} if line.peak else {"shape": "hv"} if whole else {},
    }


def _rounded(values: Values, unit: str) -> list[float | None]:
    digits = 1 if unit == BITS else 2
    return [None if value is None else round(value, digits) for value in values]


def _hover(unit: str, whole: bool = False) -> str:
    if whole:
        return "%{y:,d}"
    return "%{y:.3~s}bit/s" if unit == BITS else f"%{{y:.4~g}} {unit}"


# --- Words ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """Figures of one line over its measured points; ``at`` is when the peak was."""

    peak: float
    at: datetime
    average: float
    percentile_95: float


def words(times: Sequence[datetime], values: Values, peaks: Values | None = None) -> Words | None:
    """Summarise a line; None when nothing was measured. ``peaks``: where the peak is looked for, else in ``values``."""
    found = sorted(value for value in values if value is not None)
    highest = [(peak, time) for peak, time in zip(peaks or values, times, strict=True) if peak is not None]
    if not found or not highest:
        return None
    peak, at = max(highest, key=lambda pair: pair[0])
    return Words(peak, at, sum(found) / len(found), percentile_95(found))


def percentile_95(ordered: Sequence[float]) -> float:
    """Return the smallest of ascending values that 95 % of them do not exceed (nearest rank)."""
    return ordered[-(-len(ordered) * 95 // 100) - 1]


@dataclass(frozen=True)
class Row:
    """A line in words, ready to read; ``—`` where nothing was measured."""

    label: str
    average: str
    percentile_95: str
    peak: str
    at: datetime | None


def row(label: str, found: Words | None, unit: str) -> Row:
    if found is None:
        return Row(label, "—", "—", "—", None)

    def text(value: float) -> str:
        return bitrate(value) if unit == BITS else f"{value:.3g} {unit}"

    return Row(label, text(found.average), text(found.percentile_95), text(found.peak), found.at)


# --- Rows for download ------------------------------------------------------------------------------------------------


def table(times: Sequence[datetime], columns: Sequence[Values]) -> Iterator[list[str | Decimal]]:
    """Yield a row for each time: the time, then a value for each column, empty where unmeasured."""
    for time, *values in zip(times, *columns, strict=True):
        yield [iso(time), *("" if value is None else Decimal(f"{value:.3f}") for value in values)]


def file_name(key: str, start: datetime, end: datetime) -> str:
    return f"{key}-{start.astimezone(UTC):%Y%m%dT%H%MZ}-{end.astimezone(UTC):%Y%m%dT%H%MZ}.csv"
