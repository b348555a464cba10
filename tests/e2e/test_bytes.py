"""Bytes that are counted are those that were sent, and nobody can read them between gateway and connector."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.demo import Demo, wait_until

MANY = 50_000_000


def charted_bytes(demo: Demo) -> int:
    """Return the bytes to users in the servers' charts, up to this moment at least."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    newest = "SELECT min(newest) FROM (SELECT max(time) AS newest FROM connectors_sample GROUP BY server_id)"
    wait_until(lambda: (demo.rows(newest)[0][0] or "") > now, 40, what="a sample of each server")
    return int(demo.rows("SELECT sum(tx_bytes) FROM connectors_sample")[0][0])


@pytest.mark.timeout(180)
def test_counted_bytes_agree_with_what_was_sent(demo: Demo) -> None:
    record = (
        "SELECT bytes_down FROM roaming_flow WHERE started_at >= ? AND ended_at IS NOT NULL "
        "AND bytes_down > 1000000 ORDER BY started_at DESC"
    )
    with demo.quiet():
        before = charted_bytes(demo)
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        answer = demo.curl(f"http://wiki.corp.example/file?bytes={MANY}", "--proxytunnel")
        assert len(answer.body) == MANY
        (down,) = wait_until(lambda: demo.rows(record, since), 30, what="the flow record")[0]
        assert down == pytest.approx(MANY, rel=0.05)
        assert charted_bytes(demo) - before == pytest.approx(MANY, rel=0.05)


def tunnel_port(demo: Demo) -> int:
    homes = demo.home.glob("machine-gateway-*/snapshot.json")
    gateways = [json.loads(path.read_text())["gateway"] for path in homes]
    return next(g["tunnel_port"] for g in gateways if g["id"] == demo.gateway()["id"])


@pytest.mark.skipif(
    not shutil.which("tcpdump") or os.geteuid() != 0, reason="capturing needs tcpdump and root"
)
def test_a_capture_of_the_tunnel_port_holds_no_readable_byte(demo: Demo, tmp_path: Path) -> None:
    capture = tmp_path / "tunnel.pcap"
    command = ["tcpdump", "-i", "lo", "-U", "-s", "0", "-Z", "root"]
    command += ["-w", str(capture), "port", str(tunnel_port(demo))]
    marker = b"this-marker-must-not-be-readable-" + os.urandom(8).hex().encode()
    data = marker * 2000
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as dump:
        try:
            assert dump.stderr is not None
            assert "listening" in dump.stderr.readline()
            with demo.connect("echo.corp.example", 7) as flow:
                assert flow.echoes(data)
            wait_until(lambda: capture.stat().st_size > len(data), 30, what="the capture of the bytes")
        finally:
            dump.terminate()
    captured = capture.read_bytes()
    assert len(captured) > len(data)
    assert marker not in captured
    assert marker[:20] not in captured
