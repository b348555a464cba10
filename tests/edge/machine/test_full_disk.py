"""Agents on a full disk: they start, work as far as they can, say what they cannot, and catch up when there is room."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.connector_lab import configuration, until
from tests.edge.gateway_lab import SESSION, Echo, GatewayLab, echoes, wait_until
from tests.edge.machine.test_status import lights
from tests.edge.server.test_connector_agent import World, in_world
from tests.edge.small_disk import filled, small_disk

pytestmark = pytest.mark.processes

MIB = 16


class Gateway(GatewayLab):
    """Its home is a small disk; that it lets nobody in is an answer as well."""

    def answers(self) -> bool:
        try:
            status, headers, _ = self.ask(None)
        except OSError:
            return False
        return status == 407 or headers.get("x-causeway-reason") == "consolelost"

    def end(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGTERM)
        assert self.agent.wait(30) == 0
        self._close_pipes()

    def version_on_disk(self) -> int:
        return int((self.home.read_json("snapshot.json") or {})["version"])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with small_disk(tmp_path / "home", MIB):
        made = Gateway(tmp_path)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def target() -> Iterator[str]:
    echo = Echo()
    yield f"{echo.host}:{echo.port}"
    echo.close()


def test_a_gateway_started_on_a_full_disk_works_says_so_and_catches_up(gateway: Gateway, target: str) -> None:
    gateway.start()
    gateway.end()
    with filled(gateway.home.path):
        gateway.start()
        assert echoes(gateway.tunnel(target))
        assert gateway.apply()["cut"] == 0, "the newer configuration is in force"
        color, reason = lights(gateway.home)[1]["configuration"]
        assert color == "red" and reason.startswith(f"The disk of {gateway.home.path} is full.")
        assert gateway.version_on_disk() < gateway.document["version"]
        assert echoes(gateway.tunnel(target))
    wait_until(lambda: gateway.version_on_disk() == gateway.document["version"], "the configuration on disk")
    assert gateway.agent is not None and gateway.agent.poll() is None, "the same agent all along"
    assert gateway.log.read_text().count("cannot be written down (No space left on device)") == 1
    color, reason = lights(gateway.home)[1]["configuration"]
    assert "full" not in reason


def test_who_was_cut_off_while_the_disk_was_full_stays_out_after_a_restart(
    gateway: Gateway, target: str
) -> None:
    gateway.start()
    assert gateway.ask(f"Bearer {gateway.token()}", target)[0] == 200
    with filled(gateway.home.path):
        gateway.apply(ended_sessions={SESSION: "kicked"})
        gateway.kill_agent()
    gateway.start()
    status, headers, _ = gateway.ask(f"Bearer {gateway.token()}", target)
    assert (status, headers["x-causeway-reason"]) == (503, "consolelost")
    _, reason = lights(gateway.home)[1]["configuration"]
    assert reason.startswith("A newer configuration could not be written down")


@pytest.mark.parametrize("ran", [True, False], ids=["as before", "for the first time"])
def test_a_server_started_on_a_full_disk_works_says_so_and_catches_up(tmp_path: Path, ran: bool) -> None:
    async def test(world: World) -> None:
        if ran:
            world.start()
            await until(world.served, "the application")
            assert world.end(signal.SIGTERM) == 0
            world.configuration = configuration(world.home, [world.gateway], world.applications, version=2)
        wanted = world.configuration["version"]

        async def complained() -> bool:
            return f"Configuration {wanted} cannot be followed now: " in world.log.read_text()

        async def followed() -> bool:
            return bool(world.console.bodies("telemetry")[-1]["applied_version"] == wanted)

        with filled(world.home.path):
            world.start()
            await until(complained, "the log's word")
            if ran:
                await until(world.served, "the application, by the configuration of before")
            assert not await followed()
            color, reason = (await asyncio.to_thread(lights, world.home))[1]["configuration"]
            assert color == "red" and reason.startswith(f"The disk of {world.home.path} is full.")
        await until(followed, "the newer configuration")
        await until(world.served, "the application")
        assert world.agent is not None and world.agent.poll() is None, "the same agent all along"
        assert json.loads(world.home.file("config.json").read_text())["version"] == wanted

    with small_disk(tmp_path / "server", MIB):
        in_world(tmp_path, test)
