"""What a server says of itself to the console, and what it makes of an answer that makes no sense."""

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.machine.api import ApiRefused, Caller, ConsoleUnreachable
from edge.machine.spool import Spool
from edge.protocol.configuration import OwnConnector, Server, ServerConfiguration
from edge.protocol.edition import Edition
from edge.server.agent import ConnectorAgent
from edge.server.reporter import USUAL_INTERVAL, Answer, Reporter, uptime
from tests.edge.connector_lab import enrolled_server
from tests.edge.gateway_pki import Authority

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


def test_samples_that_are_too_many_wait_and_go_out_again_under_the_same_name(tmp_path: Path) -> None:
    bodies: list[Any] = []
    error = {"error": {"code": "TooMany", "message": "Report again later.", "field": None}}

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.read()))
        if len(bodies) == 1:
            return httpx.Response(429, json=error, headers={"Retry-After": "40"})
        return httpx.Response(200, json={"acknowledged": 2, "wanted_version": 7})

    async def call() -> None:
        spool = Spool(tmp_path / "spool.db")
        spool.put_all("sample", [{"time": 1}, {"time": 2}])
        console = "http://console.example"
        async with Caller(console, transport=httpx.MockTransport(handle)) as caller:
            reporter = Reporter(
                spool, caller, console, envoy_state=lambda: "running", open_flows=lambda: asyncio.sleep(0, 3)
            )
            with pytest.raises(ApiRefused) as refused:
                await reporter.step(CONFIGURATION)
            assert refused.value.retry_after == 40
            await reporter.step(CONFIGURATION)
        assert spool.peek("sample", 10) == ([], [])
        spool.close()

    asyncio.run(call())
    assert bodies[0]["batch"] == bodies[1]["batch"]
    assert bodies[0]["samples"] == bodies[1]["samples"] == [{"time": 1}, {"time": 2}]


def test_a_server_that_is_told_to_wait_waits(tmp_path: Path) -> None:
    home = enrolled_server(tmp_path / "server", Authority(), "server-1", "connector-1")

    async def pause() -> float:
        agent = ConnectorAgent(home)
        return await agent._after_refusal(ApiRefused(429, "TooMany", "Report again later.", 40.0), 1)

    assert asyncio.run(pause()) >= 40
