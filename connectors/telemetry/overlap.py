"""Time of a server that was counted already: no interval counts twice, whatever a server says of it."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from connectors.telemetry import sql
from connectors.telemetry.models import Sample

# Seconds by which neighbours may seem to overlap: ends and lengths are rounded to the millisecond, each by itself.
ROUNDING = 0.0025
# Seconds of the longest piece that is stored.
LONGEST = float(sql.FIVE_MINUTES)

Interval = tuple[float, float]
"""Beginning and end in epoch seconds."""


def interval(piece: Sample) -> Interval:
    end = piece.time.timestamp()
    return end - piece.seconds, end


def fresh(pieces: Sequence[Sample], newest: Mapping[str, datetime]) -> tuple[list[Sample], list[Sample]]:
    """Divide pieces, in order of server and time, into those of time not counted yet and those that overlap others.

    Pieces that are stored already are in neither. ``newest``: server → time of its newest sample; a server whose
    pieces all come after that costs no query.
    """
    new: list[Sample] = []
    overlapping: list[Sample] = []
    stored = _stored(pieces, newest)
    for server, group in groupby(pieces, key=lambda piece: piece.server_id):
        counted = Counted(stored.get(server, ()))
        for piece in group:
            if counted.knows(piece):
                continue
            (new if counted.take(piece) else overlapping).append(piece)
    return new, overlapping


class Counted:
    """Intervals of a server that were counted, which do not overlap."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._intervals = sorted(intervals, key=lambda each: each[1])
        self._ends = [end for _, end in self._intervals]

    def knows(self, piece: Sample) -> bool:
        """Tell whether a piece with this end was counted: the very piece, sent again."""
        end = piece.time.timestamp()
        place = bisect_right(self._ends, end - 0.0005)
        return place < len(self._ends) and self._ends[place] < end + 0.0005

    def take(self, piece: Sample) -> bool:
        """Count a piece; False when its time overlaps time that was counted."""
        begin, end = interval(piece)
        place = bisect_right(self._ends, begin + ROUNDING)
        if place < len(self._ends) and self._intervals[place][0] < end - ROUNDING:
            return False
        place = bisect_right(self._ends, end)
        self._intervals.insert(place, (begin, end))
        self._ends.insert(place, end)
        return True


def _stored(pieces: Sequence[Sample], newest: Mapping[str, datetime]) -> dict[str, list[Interval]]:
    """Read what is stored of the time that pieces are of, of servers whose pieces do not all come after the newest."""
    spans = []
    for server, group in groupby(pieces, key=lambda piece: piece.server_id):
        own = list(group)
        low = min(interval(piece)[0] for piece in own)
        if server in newest and low < newest[server].timestamp() - ROUNDING:
            spans.append((server, sql.at(low), sql.at(own[-1].time.timestamp() + LONGEST)))
    if not spans:
        return {}
    relation, given = sql.rows(
        "span", {"server": "varchar", "low": "timestamptz", "high": "timestamptz"}, spans
    )
    rows = sql.fetch(
        f"SELECT span.server, {sql.epoch('sample.time')}, sample.seconds FROM {relation} JOIN connectors_sample sample"  # noqa: S608
        " ON sample.server_id = span.server AND sample.time >= span.low AND sample.time <= span.high",
        given,
    )
    found: dict[str, list[Interval]] = {}
    for server, end, seconds in rows:
        found.setdefault(server, []).append((end - seconds, end))
    return found
