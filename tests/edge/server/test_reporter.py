"""What a server says of itself to the console, and what it makes of an answer that makes no sense."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.machine.api import Caller, ConsoleUnreachable
from edge.machine.spool import Spool
from edge.protocol.configuration import OwnConnector, Server, ServerConfiguration
from edge.protocol.edition import Edition
from edge.server.reporter import USUAL_INTERVAL, Answer, Reporter, uptime

CONFIGURATION = ServerConfiguration(
    version=7,
    epoch="abc0",
    seal="5ea1",
    server=Server("server-1", True),
    connector=OwnConnector("connector-1", "c", True),
    gateways=(),
    applications=(),
)


def report(tmp_path: Path, answer: str) -> tuple[Answer, dict[str, Any]]:
    """Make one report, which the console answers so; return what came of it and the body."""
    bodies = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(200, text=answer)

    async def call() -> Answer:
        spool = Spool(tmp_path / "spool.db")
        console = "http://console.example"
        async with Caller(console, transport=httpx.MockTransport(handle)) as caller:
            reporter = Reporter(
                spool, caller, console, envoy_state=lambda: "running", open_flows=lambda: asyncio.sleep(0, 3)
            )
            try:
                return await reporter.step(CONFIGURATION)
            finally:
                spool.close()

    found = asyncio.run(call())
    return found, httpx.Response(200, content=bodies[0]).json()


def test_the_uptime_does_not_come_from_a_clock_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = uptime()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    _, body = report(tmp_path, '{"wanted_version": 7}')
    assert 0 <= before <= body["machine"]["uptime_seconds"] <= uptime()


def test_the_edition_in_force_goes_out_with_its_seal_and_the_wanted_one_comes_back(tmp_path: Path) -> None:
    answer, body = report(tmp_path, '{"wanted_version": 3, "epoch": "abc1"}')
    assert (body["epoch"], body["applied_version"], body["seal"]) == ("abc0", 7, "5ea1")
    assert answer.wanted == Edition("abc1", 3)
    assert answer.wanted.follows(CONFIGURATION.edition), "of another epoch, though its number is lower"


@pytest.mark.parametrize(
    "interval", ["-1", "NaN", "Infinity", "1e9", '"soon"', "null", "[]", "{}", "9" * 400]
)
def test_an_interval_that_makes_no_sense_is_the_usual_one(tmp_path: Path, interval: str) -> None:
    answer, _ = report(tmp_path, f'{{"interval": {interval}, "wanted_version": 8}}')
    assert answer == Answer(interval=USUAL_INTERVAL, wanted=Edition("", 8), more=False)
    assert math.isfinite(answer.interval)


@pytest.mark.parametrize("version", ["Infinity", "NaN", '"new"', "null", "[]", "1e400"])
def test_an_answer_with_a_version_that_makes_no_sense_is_none(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConsoleUnreachable, match="wanted_version must be a whole number"):
        report(tmp_path, f'{{"wanted_version": {version}}}')
