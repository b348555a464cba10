"""Reports of servers, written in groups: their samples, how they are, and how they reach gateways and destinations."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from connectors.fleet.models.connectors import Server
from connectors.telemetry import sql, store
from connectors.telemetry.grouping import Groups
from connectors.telemetry.models import Sample
from console.core.errors import NotFound
from console.core.models.version import ConfigVersion
from console.machines import config
from edge.protocol.reports import Destination, Path

# Columns of a server's record that its report fills, with their types on PostgreSQL.
HEARD = {
    "heard_at": "timestamptz",
    "endpoint_ip": "inet",
    "private_ip": "inet",
    "hostname": "varchar",
    "version": "varchar",
    "applied_version": "bigint",
    "applied_epoch": "varchar",
    "uptime_seconds": "bigint",
    "envoy_state": "varchar",
    "open_flows": "integer",
}
GAUGES = ("cpu_percent", "memory_percent")
_COLUMNS = {"server": "varchar", **HEARD, "fresh": "bool", **dict.fromkeys(GAUGES, "float8")}


@dataclass(frozen=True)
class Report:
    """Report of one call. ``heard``: a value for each of ``HEARD``; ``paths``, ``destinations``: None when not told."""

    server: str
    samples: list[Sample]
    heard: dict[str, Any]
    paths: Sequence[Path] | None = None
    destinations: Sequence[Destination] | None = None
    received_at: datetime = field(default_factory=timezone.now)


@dataclass(frozen=True)
class Answer:
    """Answer to a report. ``now``: counters of the configuration, read after the report was written.

    ``new``, ``repeated``: samples of the whole group, counted with its first report only. ``overlapping``: how many of
    the server's own are refused, since their time was counted already.
    """

    now: ConfigVersion
    new: int = 0
    repeated: int = 0
    overlapping: int = 0


def submit(report: Report) -> Answer:
    """Write a report, return after its commit. Raise ``NotFound`` with code MachineUnknown, and ``grouping.Busy``."""
    return _groups.submit(report)


def _write(reports: Sequence[Report]) -> list[Answer]:
    known = set(
        Server.objects.filter(pk__in={report.server for report in reports}).values_list("pk", flat=True)
    )
    if any(report.server not in known for report in reports):
        raise NotFound("This server was removed from the console.", code="MachineUnknown")
    now = max(report.received_at for report in reports)
    written = store.write((sample for report in reports for sample in report.samples), now)
    _write_heard(reports)
    _write_ways([report for report in reports if report.paths is not None or report.destinations is not None])
    wanted = config.current()
    refused = [min(len(report.samples), written.overlapping.get(report.server, 0)) for report in reports]
    repeated = max(0, sum(len(report.samples) for report in reports) - written.new - sum(refused))
    answers = [Answer(wanted, overlapping=count) for count in refused]
    return [replace(answers[0], new=written.new, repeated=repeated), *answers[1:]]


_groups: Groups[Report, Answer] = Groups(_write)


def _write_heard(reports: Sequence[Report]) -> None:
    # Order by server, so that two processes cannot block each other; of a server's reports the last one counts.
    newest = {
        report.server: report for report in sorted(reports, key=lambda each: (each.server, each.received_at))
    }
    relation, given = sql.rows("given", _COLUMNS, [_heard_row(report) for report in newest.values()])
    settings = [f"{name} = given.{name}" for name in HEARD]
    same = (
        "coalesce(server.applied_version, -1) = coalesce(given.applied_version, -1)"
        " AND server.applied_epoch = given.applied_epoch"
    )
    settings.append(f"applied_at = CASE WHEN {same} THEN server.applied_at ELSE given.heard_at END")
    settings += [
        f"{name} = CASE WHEN given.fresh THEN given.{name} ELSE server.{name} END" for name in GAUGES
    ]
    sql.run(
        f"UPDATE connectors_server AS server SET {', '.join(settings)} FROM {relation} WHERE server.id = given.server",  # noqa: S608
        given,
    )


def _heard_row(report: Report) -> tuple[Any, ...]:
    newest = max(report.samples, key=lambda sample: sample.time, default=None)
    # Leave out the gauges of a sample that had to wait: they say nothing about now.
    fresh = newest is not None and report.received_at - newest.time < store.fresh_within()
    gauges = tuple(getattr(newest, name) if newest and fresh else None for name in GAUGES)
    return (report.server, *(report.heard[name] for name in HEARD), fresh, *gauges)


def _write_ways(reports: Sequence[Report]) -> None:
    if not reports:
        return
    columns = {"server": "varchar", "told_at": "timestamptz", "paths": "jsonb", "destinations": "jsonb"}
    newest = {
        report.server: report for report in sorted(reports, key=lambda each: (each.server, each.received_at))
    }
    told = [
        (
            report.server,
            report.received_at,
            json.dumps([path.encode() for path in report.paths or ()]),
            json.dumps([destination.encode() for destination in report.destinations or ()]),
        )
        for report in newest.values()
    ]
    relation, given = sql.rows("given", columns, told)
    changes = ", ".join(f"{name} = given.{name}" for name in list(columns)[1:])
    sql.run(
        f"UPDATE connectors_latest AS latest SET {changes} FROM {relation} WHERE latest.server_id = given.server",  # noqa: S608
        given,
    )
