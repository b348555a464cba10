"""Agents on a full disk: they start, work as far as they can, say what they cannot, and catch up when there is room."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from tests.edge.connector_lab import until
from tests.edge.gateway_lab import SESSION, Echo, GatewayLab, echoes, wait_until
from tests.edge.machine.test_status import lights
from tests.edge.server_lab import running_world
from tests.edge.small_disk import filled, small_disk

pytestmark = pytest.mark.processes

MIB = 16


class Gateway(GatewayLab):
    """Its home is a small disk."""

    def end(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGTERM)
        assert self.agent.wait(30) == 0
        self._close_pipes()

    def version_on_disk(self) -> int:
        return int((self.home.read_json("snapshot.json") or {})["version"])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with small_disk(tmp_path / "home", MIB), closing(Gateway(tmp_path)) as made:
        yield made


def test_a_gateway_started_on_a_full_disk_works_says_so_and_catches_up(gateway: Gateway, echo: Echo) -> None:
    gateway.start()
    gateway.end()
    with filled(gateway.home.path):
        gateway.start()
        assert echoes(gateway.tunnel(echo.target))
        assert gateway.apply()["cut"] == 0, "the newer configuration is in force"
        color, reason = lights(gateway.home)[1]["configuration"]
        assert color == "red" and reason.startswith(f"The disk of {gateway.home.path} is full.")
        assert gateway.version_on_disk() < gateway.document["version"]
        assert echoes(gateway.tunnel(echo.target))
    wait_until(lambda: gateway.version_on_disk() == gateway.document["version"], "the configuration on disk")
    assert gateway.agent is not None and gateway.agent.poll() is None, "the same agent all along"
    assert gateway.log.read_text().count("cannot be written down (No space left on device)") == 1
    color, reason = lights(gateway.home)[1]["configuration"]
    assert "full" not in reason


def test_who_was_cut_off_while_the_disk_was_full_stays_out_after_a_restart(
    gateway: Gateway, echo: Echo
) -> None:
    gateway.start()
    assert gateway.verdict(echo.target)[0] == 200
    with filled(gateway.home.path):
        gateway.apply(ended_sessions={SESSION: "kicked"})
        gateway.kill_agent()
    gateway.start()
    assert gateway.verdict(echo.target) == (503, "consolelost")
    _, reason = lights(gateway.home)[1]["configuration"]
    assert reason.startswith("A newer configuration could not be written down")


@pytest.mark.parametrize("ran", [True, False], ids=["as before", "for the first time"])
async def test_a_server_started_on_a_full_disk_works_says_so_and_catches_up(
    tmp_path: Path, ran: bool
) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(small_disk(tmp_path / "server", MIB))
        world = await stack.enter_async_context(running_world(tmp_path))
        if ran:
            await world.begin()
            assert world.end(signal.SIGTERM) == 0
            world.changes(version=2)
        wanted = world.configuration["version"]

        def followed() -> bool:
            return bool(world.last_report()["applied_version"] == wanted)

        with filled(world.home.path):
            world.start()
            complaint = f"Configuration {wanted} cannot be followed now: "
            await until(lambda: world.told(complaint), "the log's word")
            if ran:
                await until(world.served, "the application, by the configuration of before")
            assert not followed()
            color, reason = (await asyncio.to_thread(lights, world.home))[1]["configuration"]
            assert color == "red" and reason.startswith(f"The disk of {world.home.path} is full.")
        await until(followed, "the newer configuration")
        await until(world.served, "the application")
        assert world.agent is not None and world.agent.poll() is None, "the same agent all along"
        assert json.loads(world.home.file("config.json").read_text())["version"] == wanted
