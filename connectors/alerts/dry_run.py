"""Dry run of a rule over the stored history: when its alert would have fired."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from connectors.alerts import machine
from connectors.alerts.kinds import KINDS
from connectors.alerts.machine import Episode, Observation
from connectors.alerts.models import AlertRule
from connectors.alerts.readings import shown
from connectors.fleet.models.connectors import Server
from connectors.telemetry import store
from connectors.telemetry.store import ServerSeries
from console.kit import charts
from console.kit.charts import Line


@dataclass(frozen=True)
class Span:
    """Time to look back. ``width``: seconds that one average stands for; ``store`` says how long each is kept."""

    label: str
    length: timedelta
    width: int

    @property
    def basis(self) -> str:
        minutes = self.width // 60
        return f"by averages over {minutes} minutes" if minutes > 1 else "by averages over a minute"


SPANS = {
    "24h": Span("24 hours", timedelta(hours=24), 60),
    "7d": Span("7 days", timedelta(days=7), 300),
    "30d": Span("30 days", timedelta(days=30), 900),
}
DEFAULT = "7d"
# Types whose threshold is compared with a stored series.
SUPPORTED = ("bandwidth", "latency")
MOST_SERVERS = 50
MOST_SHAPES = 200
COLOR = "#e04040"  # between the style sheets' light and dark error colours


@dataclass(frozen=True)
class Fired:
    """Episode in which the alert would have fired, and the server that it would have been about."""

    server: Server
    episode: Episode
    kind: str

    @property
    def worst(self) -> str:
        return shown(self.kind, self.episode.worst)


@dataclass(frozen=True)
class DryRun:
    """Outcome. ``measured_from``: when measurements begin; ``left_out``: number of servers beyond ``MOST_SERVERS``."""

    kind: str
    threshold: float
    span: Span
    start: datetime
    end: datetime
    fired: list[Fired] = field(default_factory=list)
    measured_from: datetime | None = None
    left_out: int = 0

    @property
    def sentence(self) -> str:
        last = f"in the last {self.span.label}"
        if self.measured_from is None:
            return f"Nothing was measured {last}, so nobody knows whether it would have fired."
        count = len(self.fired)
        words = {0: "not have fired", 1: "have fired once", 2: "have fired twice"}
        times = words.get(count, f"have fired {count} times")
        return f"With this threshold it would {times} {last}."


def dry_run(
    servers: Sequence[Server], rule: AlertRule, *, span: str = DEFAULT, now: datetime | None = None
) -> DryRun:
    """Ask the stored history of ``servers`` what ``rule`` (stored or not) would have done in the ``span`` until now.

    Types must be ``SUPPORTED``. An average stands for its whole width: when the average meets the condition, the
    condition held for that long.
    """
    end = now or timezone.now()
    chosen = SPANS.get(span, SPANS[DEFAULT])
    asked = {server.pk: server for server in list(servers)[:MOST_SERVERS]}
    start, width = end - chosen.length, timedelta(seconds=chosen.width)
    judged = KINDS[rule.kind].machine_rule(rule)
    judged = replace(
        judged, hold=max(timedelta(), judged.hold - width), gap=max(machine.LONGEST_GAP, 1.5 * width)
    )
    fired: list[Fired] = []
    known: list[datetime] = []
    for pk, measured in store.per_server(list(asked), start=start, end=end, width=chosen.width).items():
        series = observations(rule.kind, measured, end)
        known += [seen.at - width for seen in series if seen.value is not None][:1]
        episodes = machine.episodes(series, judged)
        fired += [
            Fired(asked[pk], replace(episode, since=episode.since - width), rule.kind) for episode in episodes
        ]
    return DryRun(
        kind=rule.kind,
        threshold=rule.threshold or 0.0,
        span=chosen,
        start=start,
        end=end,
        fired=sorted(fired, key=lambda one: one.episode.fired_at),
        measured_from=min(known, default=None),
        left_out=max(0, len(servers) - len(asked)),
    )


def observations(kind: str, measured: ServerSeries, end: datetime) -> list[Observation]:
    """Return a server's values in the unit of the type, each at the end of the time that the value stands for."""
    if kind == "latency":
        values = measured.latency.average
    else:
        pairs = zip(measured.receive, measured.send, strict=True)
        values = [None if rx is None or tx is None else max(rx, tx) / 1e6 for rx, tx in pairs]
    width = timedelta(seconds=measured.width)
    return [
        Observation(min(time + width, end), value) for time, value in zip(measured.times, values, strict=True)
    ]


def _overlay(made: DryRun) -> dict[str, Any]:
    """Draw the threshold as a line, and a band for each time that the alert would have fired."""
    level = made.threshold
    line = {"dash": "dash", "width": 1, "color": COLOR}
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": level, "y1": level}
    shapes: list[dict[str, Any]] = [{**across, "line": line}]
    for one in made.fired[-MOST_SHAPES:]:
        times = {"x0": charts.iso(one.episode.since), "x1": charts.iso(one.episode.ended_at or made.end)}
        band = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", **times}
        shapes.append({**band, "line": {"width": 0}, "fillcolor": COLOR, "opacity": 0.18})
    return {"shapes": shapes}


def figure(servers: Sequence[Server], made: DryRun) -> dict[str, Any]:
    """Draw the highest value of all servers at each time, with the overlay: a Plotly figure as plain data."""
    keys = [server.pk for server in servers[:MOST_SERVERS]]
    measured = store.per_server(keys, start=made.start, end=made.end, width=made.span.width)
    columns = [observations(made.kind, one, made.end) for one in measured.values()]
    points = [
        (row[0].at, max((seen.value for seen in row if seen.value is not None), default=None))
        for row in zip(*columns, strict=True)
    ]
    points = points or [(made.start, None), (made.end, None)]  # nothing was measured
    times, highest = [moment for moment, _ in points], [value for _, value in points]
    name = "Highest of all servers" if len(keys) > 1 else "Measured"
    found = charts.figure(times, [Line(name, "receive", highest)], unit=KINDS[made.kind].unit or "")
    found["layout"]["xaxis"]["range"] = [charts.iso(made.measured_from or made.start), charts.iso(made.end)]
    # Keep the threshold in sight, however low the values are.
    top = max([*(value for value in highest if value is not None), made.threshold]) * 1.1
    found["layout"]["yaxis"]["range"] = [0, top]
    found["layout"] |= _overlay(made)
    return found
