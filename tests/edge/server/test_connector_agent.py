"""The connector server's agent as a process of its own, with a console and a gateway at its two ends."""

import os
import signal
from typing import Any

import pytest

from tests.edge.connector_lab import (
    curl,
    until,
)
from tests.edge.console_lab import refusal
from tests.edge.server_lab import World

pytestmark = pytest.mark.processes


async def test_it_dials_follows_the_console_and_leaves_cleanly(world: World) -> None:
    await world.begin()

    await until(lambda: world.last_report()["applied_version"] == 1, "the applied version")
    machine = world.last_report()["machine"]
    assert machine["envoy"] == "running" and machine["hostname"]
    before = world.envoy()
    world.changes(version=2, applications=False, epoch="e0", seal="5ea0")
    await until(world.unserved, "the application gone")
    # The console was restored: another epoch, and a lower number.
    world.changes(version=1, epoch="e1", seal="5ea1")
    await until(world.served, "the application back")
    edition = {"epoch": "e1", "applied_version": 1, "seal": "5ea1"}
    await until(lambda: edition.items() <= world.last_report().items(), "the new epoch")
    assert world.envoy() == before
    assert world.end(signal.SIGTERM) == 0
    assert world.envoy() is None
    assert "Traceback" not in world.log.read_text()


async def test_a_killed_agent_leaves_envoy_alone_and_the_next_adopts_it(world: World) -> None:
    await world.begin()
    await until(world.samples, "a sample")
    before = world.envoy()
    world.end(signal.SIGKILL)
    assert await world.served(), "flows do not need the agent"
    through = ("--proxy", f"http://127.0.0.1:{world.gateway.access}", "--output", "/dev/null")
    assert (await curl(*through, "http://wiki.corp.example/bytes/3000000"))[0] == 0
    world.start()

    def counted() -> int:
        return sum(sample["tx_bytes"] for sample in world.samples())

    await until(lambda: counted() >= 3_000_000, "the bytes that passed while no agent ran")
    assert world.envoy() == before
    assert counted() < 3_300_000


async def test_it_works_without_the_console_and_reports_later(world: World) -> None:
    answers = world.console.answers["telemetry"]
    world.console.answers["telemetry"] = lambda body: (503, {})
    world.home.write_json("config.json", world.configuration)
    world.start()
    await until(world.served, "the application, by the configuration on disk")
    # It waits longer after each call that failed, by chance up to 30 s.
    await until(world.samples, "a sample that the console does not take", 120)
    refused = world.samples()[0]
    batch = next(body for body in world.console.bodies("telemetry") if body["samples"])["batch"]
    seen = len(world.console.calls)
    world.console.answers["telemetry"] = answers

    def delivered() -> list[dict[str, Any]]:
        later = [body for _, body, _ in world.console.calls[seen:]]
        return [body for body in later if refused in body.get("samples", [])]

    again = await until(delivered, "the sample, delivered later")
    assert again[0]["batch"] == batch, "the same set goes under the same name"
    await until(lambda: world.last_report()["samples"] == [], "nothing left to send")
    assert len(delivered()) == 1, "what is acknowledged is not sent again"


async def test_switched_off_it_hangs_up_and_on_again_it_dials(world: World) -> None:
    await world.begin()
    world.changes(version=2, server={"id": "server-1", "enabled": False})
    await until(lambda: world.envoy() is None, "Envoy stopped")
    assert await world.unserved()
    world.changes(version=3)
    await until(world.served, "the application again")
    assert world.envoy() is not None


async def test_envoy_killed_is_back_and_tunnels_with_it(world: World) -> None:
    await world.begin()
    before = world.envoy()
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await until(lambda: world.envoy() not in (None, before), "a new Envoy")
    await until(world.served, "the application through the new Envoy")


async def test_a_removed_machine_says_so_and_does_not_spin(world: World) -> None:
    world.home.write_json("config.json", world.configuration)
    world.console.answers["telemetry"] = lambda body: (403, refusal("MachineUnknown", "It was removed."))
    world.start()
    await until(lambda: world.told("It was removed."), "a line in the log")
    await until(lambda: world.envoy() is None, "no tunnel of a machine that was removed")
    assert world.end(signal.SIGTERM) == 0
    assert len(world.console.bodies("telemetry")) == 1
    assert world.log.read_text().count("It was removed.") == 1


async def test_a_clock_that_could_not_be_corrected_at_once_is_corrected_soon(world: World) -> None:
    usual = world.console.answers["telemetry"]
    world.console.answers["telemetry"] = lambda body: (401, refusal("ClockSkew", "Your clock is off."))
    world.start()
    await until(lambda: world.told("Your clock is off."), "the refusal in the log")
    world.console.answers["telemetry"] = usual
    # A machine that was removed would ask once a minute.
    await until(lambda: world.console.bodies("server/config"), "a call that is taken")
    await until(world.served, "the application")
    assert world.end(signal.SIGTERM) == 0


async def test_a_configuration_going_backwards_is_not_taken(world: World) -> None:
    world.changes(version=5)
    await world.begin()
    world.changes(version=4, applications=False)
    await until(lambda: world.told("older than 5"), "a line in the log")
    assert await world.served()
    assert (world.home.read_json("config.json") or {})["version"] == 5
