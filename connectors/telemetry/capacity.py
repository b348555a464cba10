"""Trend of a server's or connector's traffic, and where it leads; nothing is said on too few measurements."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import combinations

from django.utils import timezone

from connectors.telemetry import store
from connectors.telemetry.sql import HOUR
from console.kit.charts import percentile_95
from console.templatetags.causeway import bitrate

SPAN = timedelta(days=30)
FEWEST_DAYS, FEWEST_HOURS = 14, 12
# Least surplus of pairs of days with growth between them over pairs without, as a share of all (Kendall's tau).
LEAST_AGREEMENT = 0.5
# Farthest day ahead that a sentence names; beyond it, it says only that a year passes.
FARTHEST = timedelta(days=365)
SHARE = 0.8


def sentence(servers: Sequence[str], what: str, now: datetime | None = None) -> str:
    """Say where the present growth leads, and on what basis; "" when the days do not tell. ``what``: "this server"."""
    now = now or timezone.now()
    measured = store.series(servers, start=now - SPAN, end=now, width=HOUR)
    ways = zip(measured.times, measured.receive, measured.send, strict=True)
    days: dict[date, list[float]] = defaultdict(list)
    for time, receive, send in ways:
        if receive is not None and send is not None:
            days[time.date()].append(max(receive, send))
    # Leave today out: it is not over.
    busy = {
        day: percentile_95(sorted(hours))
        for day, hours in days.items()
        if len(hours) >= FEWEST_HOURS and day < now.date()
    }
    if len(busy) < FEWEST_DAYS:
        return ""
    return _trend(busy, store.highest(servers), what, now.date())


def _trend(busy: dict[date, float], highest: float, what: str, today: date) -> str:
    first = min(busy)
    places, values = [(day - first).days for day in busy], list(busy.values())
    basis = f"Basis: the busy hour of {len(busy)} of the last {SPAN.days} days"
    # Take the median of all pairs' slopes: one wild day does not bend it.
    pairs = [
        (later - earlier, after - before)
        for (earlier, before), (later, after) in combinations(sorted(zip(places, values, strict=True)), 2)
    ]
    growth = statistics.median(rise / run for run, rise in pairs)
    base = statistics.median(value - growth * place for place, value in zip(places, values, strict=True))
    steady = sum((rise > 0) - (rise < 0) for _, rise in pairs) / len(pairs)
    if growth <= 0 or steady < LEAST_AGREEMENT or highest <= 0:
        return f"The traffic of {what} does not grow steadily. {basis}."
    limit = SHARE * highest
    now = base + growth * (today - first).days
    basis = f"{basis}, which grew by {bitrate(growth)} a day; the measured maximum is {bitrate(highest)}"
    share = f"{SHARE * 100:.0f} % of its measured maximum"
    if now >= limit:
        return f"The busy hour of {what} is above {share}. {basis}."
    left = timedelta(days=(limit - now) / growth)
    if left > FARTHEST:
        return f"At the present growth {what} stays below {share} for a year. {basis}."
    return f"At the present growth {what} reaches {share} in {_about(left)}. {basis}."


def _about(left: timedelta) -> str:
    days = max(1, round(left.days))
    if days < 14:
        return f"about {days} day{'s' if days != 1 else ''}"
    if days < 70:
        return f"about {round(days / 7)} weeks"
    return f"about {round(days / 30.4)} months"
