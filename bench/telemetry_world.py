"""Commands by which ``bench.telemetry`` uses the console's own code, in a process with the console's environment.

    python -m bench.telemetry_world servers 1000 FILE     enrolled servers; their ids and keys go to FILE
    python -m bench.telemetry_world rollup 1000 1         raw samples of days, and how long rolling them up takes
    python -m bench.telemetry_world chart 1000 30         roll-ups of days, and how long a chart of one server takes
    python -m bench.telemetry_world count                 stored samples
    python -m bench.telemetry_world alerts URL SECONDS    every bandwidth alert on, told to URL when held so long

Every answer is one line of JSON.
"""

import json
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STEP = 10


def make_servers(number: int, file: Path) -> dict[str, Any]:
    """Make servers of ten connectors with keys of their own, as an enrollment leaves them."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    from connectors.models import Connector, Server
    from console.models import MachineKey, Region

    region = Region.objects.get(pk="cn-shanghai")
    connectors = [Connector(name=f"bench-{place}", region=region) for place in range(10)]
    Connector.objects.bulk_create(connectors)
    servers = [Server(connector=connectors[place % 10], hostname=f"host-{place}") for place in range(number)]
    Server.objects.bulk_create(servers, batch_size=1000)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in servers]
    MachineKey.objects.bulk_create(
        (
            MachineKey(
                machine=server.pk,
                kind="server",
                public_key=key.public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                .decode(),
            )
            for server, key in zip(servers, keys, strict=True)
        ),
        batch_size=1000,
    )
    private = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for key in keys]
    file.write_text(json.dumps([[server.pk, key] for server, key in zip(servers, private, strict=True)]))
    return {"servers": number}


def roll_up(number: int, days: int) -> dict[str, Any]:
    """Write raw samples of some days that ended a while ago, through the store, then time the worker's job."""
    from connectors.models import FiveMinutes, Hour, Sample
    from connectors.telemetry import store

    servers = _servers(number)
    end = datetime.fromtimestamp(time.time() // 3600 * 3600, UTC) - timedelta(hours=1)
    begin = end - timedelta(days=days)
    fill_samples(servers, range(int(begin.timestamp()), int(end.timestamp()), 300))
    _analyze()
    started = time.monotonic()
    while store.roll_up(end + timedelta(hours=1)):
        pass
    seconds = time.monotonic() - started
    counts = {model.__name__: model.objects.count() for model in (Sample, FiveMinutes, Hour)}
    return {"rollup_seconds": seconds, **counts}


def fill_samples(servers: list[str], starts: range) -> None:
    """Fill samples as ``store.write`` leaves them, with marks, but by the database: the filling is not timed."""
    from connectors.telemetry import partitions, sql

    days = {datetime.fromtimestamp(start + second, UTC).date() for start in starts for second in (0, 300)}
    partitions.ensure(days)
    who, whose = sql.rows("who", {"server": "varchar"}, [[server] for server in servers])
    for place in range(0, len(starts), 12):
        hour = starts[place : place + 12]
        ends = [[start, start + second] for start in hour for second in range(STEP, 301, STEP)]
        at, when = sql.rows("at", {"start": "bigint", "ends": "bigint"}, ends)
        sql.run(
            "INSERT INTO connectors_sample (server_id, time, seconds, rx_bytes, tx_bytes, cpu_percent, memory_percent,"
            f" latency_ms, loss_percent, start) SELECT who.server, {sql.moment('at.ends')}, 10.0, at.ends %% 97 * 9999,"
            f" at.ends %% 89 * 77777, at.ends %% 97, 40.0, 3.5, 0.0, at.start FROM {who}, {at}",
            [*whose, *when],
        )
        spans, given = sql.rows("span", {"start": "bigint"}, [[start] for start in hour])
        sql.run(
            "INSERT INTO connectors_stalerollup (width, server, start, version)"
            f" SELECT 300, who.server, span.start, 1 FROM {who}, {spans}",
            [*whose, *given],
        )


def chart(number: int, days: int) -> dict[str, Any]:
    """Fill the roll-ups of all servers, then time figure and words for one server, as the page asks for both."""
    from connectors.models import FiveMinutes, Hour
    from connectors.telemetry import charts, sql, windows
    from connectors.telemetry.sql import MEASURES

    servers = _servers(number)
    end = int(time.time()) // 3600 * 3600
    for model, width in ((FiveMinutes, 300), (Hour, 3600)):
        table = model._meta.db_table
        sql.run(f"DELETE FROM {table}")
        late = ", late" if model is FiveMinutes else ""
        _fill(table, late, MEASURES, servers, range(end - days * 86400, end, width), width)
    _analyze()
    found = {}
    for name in ("1h", "24h", "7d", "30d"):
        seconds = []
        for place in range(12):
            began = time.monotonic()
            shown = windows.window({"range": name})
            measured = charts.series([servers[place * 7 % number]], shown)
            json.dumps(charts.bandwidth(measured))
            charts.rows(measured)
            seconds.append(time.monotonic() - began)
        found[name] = {"median_ms": statistics.median(seconds) * 1000, "worst_ms": max(seconds[1:]) * 1000}
    return {"five_minutes": FiveMinutes.objects.count(), "hours": Hour.objects.count(), "charts": found}


def _fill(
    table: str, late: str, names: tuple[str, ...], servers: list[str], starts: range, width: int
) -> None:
    from connectors.telemetry import sql

    values = dict.fromkeys(names, "1") | {
        "seconds": str(width),
        "rx_bytes": f"{width} * (at.start / 300 % 977)",
    }
    for place in range(0, len(starts), 288):
        part = [[start] for start in starts[place : place + 288]]
        who, whose = sql.rows("who", {"server": "varchar"}, [[server] for server in servers])
        at, when = sql.rows("at", {"start": "bigint"}, part)
        given = ", ".join(values[name].replace("%", "%%") for name in names)
        sql.run(
            f"INSERT INTO {table} (server_id, start{late}, {', '.join(names)}) SELECT who.server, at.start"
            f"{', false' if late else ''}, {given} FROM {who}, {at}",
            [*whose, *when],
        )


def count() -> dict[str, Any]:
    from connectors.models import Sample

    return {"samples": Sample.objects.count()}


def watch(url: str, hold_seconds: int) -> dict[str, Any]:
    """Set a webhook, and the bandwidth alert of every connector at 100 Mbit/s, as a user would."""
    from connectors.alerts import services as alerts
    from connectors.models import Connector
    from console.core import audit
    from console.push import services as push

    actor = audit.System("bench")
    push.channel_create(name="bench", kind="webhook", url=url, actor=actor)
    connectors = list(Connector.objects.all())
    for connector in connectors:
        values = {"enabled": True, "threshold": 100.0, "hold_seconds": hold_seconds}
        alerts.rule_update(connector=connector, kind="bandwidth", actor=actor, **values)
    return {"connectors": len(connectors)}


def _servers(number: int) -> list[str]:
    from connectors.models import Server

    return list(Server.objects.order_by("pk").values_list("pk", flat=True)[:number])


def _analyze() -> None:
    from connectors.telemetry import sql

    sql.run("ANALYZE")


def main(arguments: list[str]) -> None:
    import django

    django.setup()
    what, *rest = arguments
    if what == "servers":
        answer = make_servers(int(rest[0]), Path(rest[1]))
    elif what == "rollup":
        answer = roll_up(int(rest[0]), int(rest[1]))
    elif what == "chart":
        answer = chart(int(rest[0]), int(rest[1]))
    elif what == "alerts":
        answer = watch(rest[0], int(rest[1]))
    else:
        answer = count()
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
