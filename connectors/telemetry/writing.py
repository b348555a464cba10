"""Writes of samples: raw ones once each, with a mark on every roll-up that has to be counted anew.

A sample belongs to the five minutes that its middle lies in. One longer than a minute is stored in pieces that end at
the five-minute marks, so that its bytes stand where they flowed; bytes are shared out in whole numbers. A piece whose
time overlaps time that was counted is refused: what a server says of an interval counts once.

Raw samples are kept for a time only. What comes later than that (a server that was cut off for days) is added to
the roll-up at once, in rows of its own that are never counted from raw samples. There a sample is recognised as
repeated by beginning no later than the newest that the server sent before: servers send the oldest first.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from connectors.telemetry import overlap, partitions, sql
from connectors.telemetry.models import Latest, Sample
from connectors.telemetry.sql import FIVE_MINUTES, HOUR, MEASURES, SHORT_SAMPLE, VALUES
from console.kit import windows

# Least time between the age from which samples are only rolled up and the age at which raw ones are forgotten.
MARGIN = timedelta(hours=1)
FIVE_MINUTES_KEPT, HOURS_KEPT = timedelta(days=90), windows.KEPT
_COLUMNS = {
    "server": "varchar",
    "time": "timestamptz",
    "seconds": "float8",
    "rx_bytes": "bigint",
    "tx_bytes": "bigint",
    "cpu_percent": "float8",
    "memory_percent": "float8",
    "latency_ms": "float8",
    "loss_percent": "float8",
}


def oldest_accepted(now: datetime) -> datetime:
    """Return the time of the oldest sample accepted: older ones would be forgotten at once."""
    return now - FIVE_MINUTES_KEPT + MARGIN


def raw_horizon(now: datetime) -> datetime:
    """Return the time from which on samples are stored raw; older ones go into roll-ups only."""
    return now - settings.RAW_SAMPLE_RETENTION + MARGIN


class Written(NamedTuple):
    """Number of new samples, and by server how many were refused since their time was counted already."""

    new: int
    overlapping: Mapping[str, int]


def write(samples: Iterable[Sample], now: datetime) -> Written:
    """Store samples of any servers, and marks on their roll-ups, in one transaction."""
    pieces = [piece for sample in samples for piece in split(sample)]
    if not pieces:
        return Written(0, {})
    pieces.sort(key=lambda sample: (sample.server_id, sample.time))
    horizon = raw_horizon(now)
    partitions.ensure({sample.time.astimezone(UTC).date() for sample in pieces if sample.time >= horizon})
    with transaction.atomic():
        newest = _newest(sorted({sample.server_id for sample in pieces}))
        late = _beyond([sample for sample in pieces if sample.time < horizon], newest)
        fresh, overlapping = overlap.fresh([sample for sample in pieces if sample.time >= horizon], newest)
        new = len(late)
        # First of all, also of a server that had none to lock: else two calls wait for each other's marks.
        if late or fresh:
            _write_latest(sorted(late + fresh, key=lambda sample: (sample.server_id, sample.time)))
        if late:
            _write_late(late)
        if fresh:
            new += _write_raw(fresh)
            mark(FIVE_MINUTES, {(sample.server_id, start_of(sample)) for sample in fresh})
    return Written(new, Counter(sample.server_id for sample in overlapping))


def _newest(servers: Sequence[str]) -> dict[str, datetime]:
    """Read when each server's newest sample was, and lock it: of two calls the second sees what the first stored."""
    known = Latest.objects.filter(server__in=servers).select_for_update().order_by("server")
    return dict(known.values_list("server", "time"))


def _beyond(late: Sequence[Sample], newest: Mapping[str, datetime]) -> list[Sample]:
    """Choose the late samples that begin after everything that their server sent before."""
    found, until = [], {server: time.timestamp() for server, time in newest.items()}
    for sample in late:
        begin, end = overlap.interval(sample)
        if sample.server_id not in until or begin >= until[sample.server_id] - overlap.ROUNDING:
            found.append(sample)
            until[sample.server_id] = end
    return found


def split(sample: Sample) -> list[Sample]:
    """Return the sample or its pieces, each with ``start``: the beginning of the five minutes that count it."""
    end = round(sample.time.timestamp() * 1000) / 1000
    if sample.seconds <= SHORT_SAMPLE:
        sample.start = _start(end - sample.seconds / 2)
        return [sample]
    begin = end - sample.seconds
    ends = [*range(_start(begin) + FIVE_MINUTES, math.ceil(end), FIVE_MINUTES), end]
    pieces, done = [], begin
    for until in ends:
        if until - done < 0.001:  # shorter than times can tell apart
            continue
        # Round cumulative shares down: so the pieces add up to the whole.
        shares = [(moment - begin) / sample.seconds for moment in (done, until)]
        if until == end:
            shares[1] = 1.0
        low_rx, high_rx = (int(sample.rx_bytes * share) for share in shares)
        low_tx, high_tx = (int(sample.tx_bytes * share) for share in shares)
        measured = {column: getattr(sample, column) for column in VALUES.values()} if until == end else {}
        pieces.append(
            Sample(
                server_id=sample.server_id,
                time=datetime.fromtimestamp(until, UTC),
                seconds=round(until - done, 3),
                rx_bytes=high_rx - low_rx,
                tx_bytes=high_tx - low_tx,
                start=_start((done + until) / 2),
                **measured,
            )
        )
        done = until
    return pieces


def start_of(piece: Sample) -> int:
    """Return ``start`` of a piece that ``split`` made."""
    assert piece.start is not None  # noqa: S101 (for the type checker)
    return piece.start


def _start(moment: float) -> int:
    return int(moment // FIVE_MINUTES) * FIVE_MINUTES


def _row(sample: Sample) -> tuple[Any, ...]:
    return (sample.server_id, *(getattr(sample, name) for name in list(_COLUMNS)[1:]))


def _write_raw(samples: Sequence[Sample]) -> int:
    relation, given = sql.rows(
        "given", {**_COLUMNS, "start": "bigint"}, [(*_row(sample), sample.start) for sample in samples]
    )
    names = ", ".join([*list(_COLUMNS)[1:], "start"])
    return sql.run(
        f"INSERT INTO connectors_sample (server_id, {names}) SELECT server, {names} FROM {relation} WHERE true"  # noqa: S608
        " ON CONFLICT (server_id, time) DO NOTHING",
        given,
    )


def mark(width: int, spans: Iterable[tuple[str, int]]) -> None:
    """Mark roll-ups (server, start) to be counted anew, in order, so that two writers cannot block each other."""
    relation, given = sql.rows("given", {"server": "varchar", "start": "bigint"}, sorted(spans))
    sql.run(
        "INSERT INTO connectors_stalerollup (width, server, start, version)"  # noqa: S608
        f" SELECT {width}, server, start, 1 FROM {relation} WHERE true"
        " ON CONFLICT (width, server, start) DO UPDATE SET version = connectors_stalerollup.version + 1",
        given,
    )


def _write_latest(samples: Sequence[Sample]) -> None:
    newest = {
        sample.server_id: sample for sample in samples
    }  # the last one counts: samples are in order of time
    relation, given = sql.rows("given", _COLUMNS, [_row(sample) for sample in newest.values()])
    names = list(_COLUMNS)[1:]
    sql.run(
        f"INSERT INTO connectors_latest (server_id, {', '.join(names)}, paths, destinations)"  # noqa: S608
        f" SELECT server, {', '.join(names)}, '[]', '[]' FROM {relation} WHERE true"
        f" ON CONFLICT (server_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"
        " WHERE excluded.time > connectors_latest.time",
        given,
    )


def _write_late(samples: Sequence[Sample]) -> None:
    """Add samples to the five minutes' own rows for them, and have the hours counted anew."""
    spans: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        spans[sample.server_id, start_of(sample)].append(sample)
    columns = {"server": "varchar", "start": "bigint"} | {
        name: "bigint" if name == "samples" or name.endswith(("_bytes", "_count")) else "float8"
        for name in MEASURES
    }
    relation, given = sql.rows(
        "given", columns, [(*key, *_sums(group)) for key, group in sorted(spans.items())]
    )
    sql.run(
        f"INSERT INTO connectors_fiveminutes (server_id, start, late, {', '.join(MEASURES)})"  # noqa: S608
        f" SELECT server, start, true, {', '.join(MEASURES)} FROM {relation} WHERE true"
        f" ON CONFLICT (server_id, start, late) DO UPDATE SET {', '.join(_added(name) for name in MEASURES)}",
        given,
    )
    mark(HOUR, {(server, start - start % HOUR) for server, start in spans})


def _added(name: str) -> str:
    old, new = f"connectors_fiveminutes.{name}", f"excluded.{name}"
    if not name.endswith("_peak"):
        return f"{name} = {old} + {new}"
    return f"{name} = CASE WHEN {old} IS NULL OR {new} > {old} THEN {new} ELSE {old} END"


def _sums(samples: Sequence[Sample]) -> list[Any]:
    """Add samples up to ``MEASURES``, as ``sql.of_samples`` does."""
    sums: list[Any] = [len(samples), sum(sample.seconds for sample in samples)]
    sums += [sum(getattr(sample, name) for sample in samples) for name in ("rx_bytes", "tx_bytes")]
    sums += [
        max(getattr(sample, name) * 8 / max(sample.seconds, 1) for sample in samples)
        for name in ("rx_bytes", "tx_bytes")
    ]
    for column in VALUES.values():
        found = [value for sample in samples if (value := getattr(sample, column)) is not None]
        sums += [sum(found, 0.0), len(found), max(found, default=None)]
    return sums
