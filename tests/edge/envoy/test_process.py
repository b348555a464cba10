"""Envoy as a process: adopted, restarted, replaced, and its refusals told."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.envoy.process import EnvoyError, EnvoyProcess, envoy_binary
from tests.edge.connector_lab import beside, until
from tests.ending import ended

pytestmark = pytest.mark.processes

BOOTSTRAP: dict[str, Any] = {"admin": {"address": {"pipe": {"path": "admin.sock"}}}}


def pid_of(envoy: EnvoyProcess) -> int:
    return int((envoy.incarnation or "0:").split(":")[0])


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[EnvoyProcess]:
    yield EnvoyProcess(tmp_path / "envoy", concurrency=1)
    await EnvoyProcess(tmp_path / "envoy").end_all()


async def test_it_starts_and_stops(envoy: EnvoyProcess) -> None:
    assert envoy.state == "stopped"
    await envoy.start(BOOTSTRAP)
    assert envoy.state == "running"
    assert "server.live: 1" in await envoy.admin("/stats?filter=server.live")
    pid = pid_of(envoy)
    await envoy.stop()
    assert envoy.state == "stopped" and not psutil.pid_exists(pid)


async def test_it_is_told_no_secret_of_the_program_that_starts_it(
    envoy: EnvoyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSEWAY_SECRET_KEY", "nobody else's business")
    await envoy.start(BOOTSTRAP)
    told = psutil.Process(pid_of(envoy)).environ()
    assert "CAUSEWAY_SECRET_KEY" not in told and told["PATH"] == os.environ["PATH"]


async def test_a_folder_with_a_long_path_does(tmp_path: Path) -> None:
    envoy = EnvoyProcess(tmp_path / ("long" * 30) / "envoy", concurrency=1)
    try:
        await envoy.start(BOOTSTRAP)
        assert (await envoy.admin("/ready")).strip() == "LIVE"
    finally:
        await envoy.stop()


async def test_the_next_agent_adopts_it_if_nothing_changed(envoy: EnvoyProcess, tmp_path: Path) -> None:
    await envoy.start(BOOTSTRAP)
    second = EnvoyProcess(tmp_path / "envoy", concurrency=1)
    await second.start(BOOTSTRAP)
    assert second.incarnation == envoy.incarnation
    await second.start({**BOOTSTRAP, "node": {"id": "other", "cluster": "other"}})
    assert second.incarnation != envoy.incarnation
    assert not psutil.pid_exists(pid_of(envoy)) or pid_of(envoy) != pid_of(second)


async def test_one_whose_pid_was_never_written_down_is_not_left_beside(
    envoy: EnvoyProcess, tmp_path: Path
) -> None:
    await envoy.start(BOOTSTRAP)
    lost = pid_of(envoy)
    (tmp_path / "envoy" / "envoy.pid").unlink()
    second = EnvoyProcess(tmp_path / "envoy", concurrency=1)
    await second.start(BOOTSTRAP)
    assert pid_of(second) != lost
    assert not psutil.pid_exists(lost) or psutil.Process(lost).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("adopted", [False, True])
async def test_it_is_started_again_when_it_dies(envoy: EnvoyProcess, tmp_path: Path, adopted: bool) -> None:
    await envoy.start(BOOTSTRAP)
    watched = EnvoyProcess(tmp_path / "envoy", concurrency=1) if adopted else envoy
    await watched.start(BOOTSTRAP)
    before = watched.incarnation
    async with beside(watched.run_forever()):
        os.kill(pid_of(watched), signal.SIGKILL)
        await until(lambda: watched.incarnation != before, "another Envoy")
        await until(lambda: watched.state == "running", "Envoy running again")
    assert (await watched.admin("/ready")).strip() == "LIVE", "cancelling the guard leaves Envoy alone"


async def test_a_refused_configuration_is_told_in_its_own_words(envoy: EnvoyProcess) -> None:
    with pytest.raises(EnvoyError, match="nonsense"):
        await envoy.start({"nonsense": 1})
    assert envoy.state == "stopped"
    await envoy.start(BOOTSTRAP)
    assert envoy.state == "running"


async def test_a_call_that_is_given_up_while_its_answer_comes_complains_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
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
    assert not caplog.records


# What a container is to Envoy: the same path, behind which another folder lies.
CONTAINER = """
mount --bind "$1" "$2" && cd "$2" && exec "$3" --config-path bootstrap.json --disable-hot-restart --concurrency 1
"""


async def test_one_of_another_container_with_a_folder_of_the_same_path_is_left_alone(
    envoy: EnvoyProcess, tmp_path: Path
) -> None:
    """Containers that share their processes see one another's Envoys."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("No mount may be made here.")
    here, other = tmp_path / "envoy", tmp_path / "other"
    here.mkdir(exist_ok=True)
    other.mkdir()
    (other / "bootstrap.json").write_text(json.dumps(BOOTSTRAP))
    command = ["unshare", "--mount", "sh", "-c", CONTAINER, "sh", str(other), str(here), str(envoy_binary())]
    with ended(subprocess.Popen(command, stderr=subprocess.DEVNULL)) as neighbour:
        # By the link alone the two folders are one.
        link = Path(f"/proc/{neighbour.pid}/cwd")
        await until((other / "admin.sock").exists, "the neighbour's Envoy lives")
        assert link.readlink() == here
        await envoy.start(BOOTSTRAP)
        await envoy.stop()
        await envoy.end_all()
        assert neighbour.poll() is None
