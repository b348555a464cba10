"""Windows of charts of measurements: the time that a chart shows, and how fine."""

from collections.abc import Mapping
from datetime import datetime

from connectors.telemetry import store
from connectors.telemetry.sql import FIVE_MINUTES, HOUR
from connectors.telemetry.writing import FIVE_MINUTES_KEPT, MARGIN
from console.kit import windows
from console.kit.windows import Window

# Widths of points, in seconds; the shortest is longer than a sample, so that each point has one.
WIDTHS = (15, 60, FIVE_MINUTES, 1800, HOUR, 2 * HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR)
MOST_POINTS = 400
RANGES = windows.ranges(1, 6, 24, 7 * 24, 30 * 24)


def window(query: Mapping[str, str], now: datetime | None = None) -> Window:
    """Read the window of a query string; see ``console.kit.windows``."""
    return windows.window(query, RANGES, _width, now)


def _width(start: datetime, end: datetime, now: datetime) -> int:
    """Choose the finest width that is kept for the whole time and gives no more points than a chart can show."""
    least = 0
    if start < store.raw_horizon(now):
        least = FIVE_MINUTES
    if start < now - FIVE_MINUTES_KEPT + MARGIN:
        least = HOUR
    span = (end - start).total_seconds()
    return next(
        width for width in WIDTHS if width >= least and (span / width <= MOST_POINTS or width == WIDTHS[-1])
    )
