"""A gateway's long poll beside slow bodies in every lane: the poll is held, and ends with the next version."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from edge.home import Home
from edge.machine.api import ConsoleApi
from edge.machine.enrollment import enroll
from edge.protocol.reports import GatewayPoll
from tests.console.front.served import PATIENCE, Served, request

pytestmark = [pytest.mark.processes, pytest.mark.slow]
SLOW = (
    "/log-in/",
    "/edge/v1/login",
    "/edge/v1/telemetry",
    "/edge/v1/gateway/config",
    "/sase/applications/import/",
)


async def followed(served: Served, home: Home) -> None:
    """Poll twice: for the present configuration, then until a version that is made while the poll waits."""
    async with ConsoleApi(home, timeout=PATIENCE) as api:
        first = await api.document("gateway/config", GatewayPoll(0))
        edition = {"epoch": first["epoch"], "seal": first["seal"]}
        poll = GatewayPoll(first["version"], wait=25, **edition)
        waiting = asyncio.create_task(api.document("gateway/config", poll))
        heard = f"SELECT 1 FROM console_gateway WHERE applied_version = {first['version']}"
        await asyncio.to_thread(served.until, lambda: served.rows(heard), "the poll is held")
        await asyncio.to_thread(served.rows, "UPDATE console_configversion SET version = version + 1")
        second = await waiting
        while second.get("unchanged"):  # a machine that is slower than the poll is long
            second = await api.document("gateway/config", poll)
        assert second["version"] == first["version"] + 1


@pytest.mark.parametrize("front", [True, False], ids=["with a front", "without a front"])
def test_slow_bodies_in_every_lane_do_not_hold_up_a_gateways_poll(
    tmp_path: Path, made: Path, front: bool
) -> None:
    served = Served(tmp_path / "console", made, tls=False, front=front)
    home = Home(tmp_path / "gateway")
    address = "127.0.0.9" if sys.platform.startswith("linux") else "127.0.0.1"
    with served.running(), contextlib.ExitStack() as stack:
        asyncio.run(enroll(home, served.url, (served.folder / "code").read_text(), "gateway"))
        for path in SLOW * 40:
            slow = stack.enter_context(served.connect(address))
            slow.sendall(request(f"POST {path}", b"{", length=60_000))
        asyncio.run(followed(served, home))
