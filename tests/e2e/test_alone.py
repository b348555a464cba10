"""The console is away: what is measured meanwhile waits on disk and arrives once, in order; after the limit, closed."""

import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.demo import Demo, read_exactly, rows_of, wait_until
from tests.edge.gateway_lab import Echo, GatewayLab, echoes

FLOWS = 12
CHUNK = 10_000


def waiting(demo: Demo) -> list[int]:
    """Return how many samples wait in each server's spool."""
    spools = sorted(demo.home.glob("machine-server-*/telemetry.db"))
    return [rows_of(spool, "SELECT count(*) FROM record")[0][0] for spool in spools]


@pytest.mark.timeout(150)
def test_what_is_measured_while_the_console_is_away_arrives_once_and_in_order(demo: Demo) -> None:
    account = demo.world["accounts"][2]
    with demo.connect("echo.corp.example", 7, account=account) as first:
        assert first.status == 200, "the session is known to the gateway before the console goes"
    begin = datetime.now(UTC)
    with demo.console_away():
        for number in range(FLOWS):
            send(demo, account, CHUNK + number)
        # Wait longer than a call's time-out: each spool holds a batch that was sent and never answered, and more.
        wait_until(lambda: min(waiting(demo)) >= 3, 60, what="three samples of each server waiting")
    flows = wait_until(lambda: ended_flows(demo, account, begin), 60, what="the flows' records")
    assert sorted(flows) == [(CHUNK + number, CHUNK + number) for number in range(FLOWS)]
    wait_until(lambda: max(waiting(demo)) == 0, 60, what="the end of the spools")
    # Bytes of the last flow may be in an interval that is not over yet.
    wait_until(lambda: echoed(demo, begin) >= FLOWS * CHUNK, 60, what="the flows' bytes in samples")
    samples_are_whole(demo, begin)


def send(demo: Demo, account: dict[str, Any], count: int) -> None:
    """Send so many bytes there and back, in one flow."""
    with demo.connect("echo.corp.example", 7, account=account) as flow:
        assert flow.status == 200
        flow.socket.sendall(b"x" * count)
        assert len(read_exactly(flow.socket, count)) == count


def ended_flows(demo: Demo, account: dict[str, Any], begin: datetime) -> list[tuple[int, int]]:
    """Return the bytes of an account's flows since then; empty until all flows that were opened have ended."""
    rows = demo.rows(
        "SELECT bytes_up, bytes_down FROM roaming_flow WHERE ended_at IS NOT NULL AND started_at >= ? AND"
        " host = 'echo.corp.example' AND account ="
        " (SELECT id FROM roaming_clientaccount WHERE username = ?)",
        begin.strftime("%Y-%m-%d %H:%M:%S.%f"),
        account["username"],
    )
    return rows if len(rows) >= FLOWS else []


def samples_are_whole(demo: Demo, begin: datetime) -> None:
    """Check every server's samples: no gap, no interval twice, in the order of time, with all of the flows' bytes."""
    for rows in samples(demo, begin):
        times = [datetime.fromisoformat(time) for time, _, _ in rows]
        assert times == sorted(set(times)), "in order, each once"
        for (earlier, later), (_, seconds, _) in zip(pairwise(times), rows[1:], strict=True):
            gap = (later - earlier) - timedelta(seconds=seconds)
            assert abs(gap) < timedelta(milliseconds=20), f"{gap} between {earlier} and {later}"


def samples(demo: Demo, begin: datetime) -> list[list[tuple[Any, ...]]]:
    """Return each server's samples since then: time, seconds, bytes received."""
    since = begin.strftime("%Y-%m-%d %H:%M:%S")
    query = "SELECT time, seconds, rx_bytes FROM connectors_sample WHERE server_id = ? AND time >= ? ORDER BY rowid"
    servers = demo.rows("SELECT id FROM connectors_server")
    return [demo.rows(query, server, since) for (server,) in servers]


def echoed(demo: Demo, begin: datetime) -> int:
    """Add up the bytes of all servers' samples since then."""
    return sum(rx for rows in samples(demo, begin) for _, _, rx in rows)


def test_a_gateway_past_its_limit_lets_nobody_in_and_says_so(tmp_path: Path) -> None:
    with closing(GatewayLab(tmp_path)) as lab, closing(Echo()) as echo:
        lab.start()
        assert lab.verdict(echo.target)[0] == 200
        flow = lab.tunnel(echo.target)
        lab.kill_agent()
        # The file's time says when the console was last heard; the limit is an hour.
        long_ago = time.time() - lab.document["offline_seconds"] - 1
        os.utime(lab.home.file("snapshot.json"), (long_ago, long_ago))
        lab.start()
        assert lab.verdict(echo.target) == (503, "consolelost"), "a restart gains no time"
        assert echoes(flow), "what is open goes on"
        assert "Refused: 503 ConsoleLost: This gateway has not heard from its console" in lab.log.read_text()
