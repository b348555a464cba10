"""Envoy as a process: adopted, restarted, replaced, and its refusals told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.envoy.process import EnvoyError, EnvoyProcess
from tests.edge.connector_lab import until

pytestmark = pytest.mark.processes

BOOTSTRAP: dict[str, Any] = {"admin": {"address": {"pipe": {"path": "admin.sock"}}}}
Test = Callable[[EnvoyProcess], Awaitable[None]]


def pid_of(envoy: EnvoyProcess) -> int:
    return int((envoy.incarnation or "0:").split(":")[0])


def with_envoy(folder: Path, test: Test) -> None:
    async def run() -> None:
        envoy = EnvoyProcess(folder, concurrency=1)
        try:
            await test(envoy)
        finally:
            await EnvoyProcess(folder).end_all()

    asyncio.run(run())


def test_it_starts_and_stops(tmp_path: Path) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        assert envoy.state == "stopped"
        await envoy.start(BOOTSTRAP)
        assert envoy.state == "running"
        assert "server.live: 1" in await envoy.admin("/stats?filter=server.live")
        pid = pid_of(envoy)
        await envoy.stop()
        assert envoy.state == "stopped" and not psutil.pid_exists(pid)

    with_envoy(tmp_path / "envoy", test)


def test_a_folder_with_a_long_path_does(tmp_path: Path) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        await envoy.start(BOOTSTRAP)
        assert (await envoy.admin("/ready")).strip() == "LIVE"

    with_envoy(tmp_path / ("long" * 30) / "envoy", test)


def test_the_next_agent_adopts_it_if_nothing_changed(tmp_path: Path) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        await envoy.start(BOOTSTRAP)
        second = EnvoyProcess(tmp_path / "envoy", concurrency=1)
        await second.start(BOOTSTRAP)
        assert second.incarnation == envoy.incarnation
        await second.start({**BOOTSTRAP, "node": {"id": "other", "cluster": "other"}})
        assert second.incarnation != envoy.incarnation
        assert not psutil.pid_exists(pid_of(envoy)) or pid_of(envoy) != pid_of(second)

    with_envoy(tmp_path / "envoy", test)


def test_one_whose_pid_was_never_written_down_is_not_left_beside(tmp_path: Path) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        await envoy.start(BOOTSTRAP)
        lost = pid_of(envoy)
        (tmp_path / "envoy" / "envoy.pid").unlink()
        second = EnvoyProcess(tmp_path / "envoy", concurrency=1)
        await second.start(BOOTSTRAP)
        assert pid_of(second) != lost
        assert not psutil.pid_exists(lost) or psutil.Process(lost).status() == psutil.STATUS_ZOMBIE

    with_envoy(tmp_path / "envoy", test)


@pytest.mark.parametrize("adopted", [False, True])
def test_it_is_started_again_when_it_dies(tmp_path: Path, adopted: bool) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        await envoy.start(BOOTSTRAP)
        watched = EnvoyProcess(tmp_path / "envoy", concurrency=1) if adopted else envoy
        await watched.start(BOOTSTRAP)
        guard = asyncio.create_task(watched.run_forever())
        before = watched.incarnation
        os.kill(pid_of(watched), signal.SIGKILL)

        async def again() -> bool:
            return watched.incarnation != before and watched.state == "running"

        await until(again, "Envoy running again")
        guard.cancel()
        await asyncio.gather(guard, return_exceptions=True)
        assert (await watched.admin("/ready")).strip() == "LIVE", "cancelling the guard leaves Envoy alone"

    with_envoy(tmp_path / "envoy", test)


def test_a_refused_configuration_is_told_in_its_own_words(tmp_path: Path) -> None:
    async def test(envoy: EnvoyProcess) -> None:
        with pytest.raises(EnvoyError, match="nonsense"):
            await envoy.start({"nonsense": 1})
        assert envoy.state == "stopped"
        await envoy.start(BOOTSTRAP)
        assert envoy.state == "running"

    with_envoy(tmp_path / "envoy", test)


def test_a_call_that_is_given_up_while_its_answer_comes_complains_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("admin.sock")
            listener.listen()
            listener.setblocking(False)
            asking = asyncio.create_task(EnvoyProcess(tmp_path).admin("/ready"))
            connection, _ = await loop.sock_accept(listener)
        with connection:
            assert await loop.sock_recv(connection, 65536)
            for _ in range(50):  # passes of the loop, until the answer is waited for
                await asyncio.sleep(0)
            loop.call_soon(asking.cancel)
            connection.send(b"HTTP/1.1 200 OK\r\n")
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(story())
    assert not caplog.records
