"""The connector server's agent as a process of its own, with a console and a gateway at its two ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.envoy.process import EnvoyProcess
from edge.home import Home
from tests.edge.connector_lab import (
    LabGateway,
    application,
    configuration,
    curl,
    enrolled_server,
    running_application,
    until,
)
from tests.edge.console_lab import FakeConsole, refusal
from tests.edge.gateway_pki import Authority

pytestmark = pytest.mark.processes


class World:
    """One server's agent, its gateway, its console, an application ``wiki.corp.example``."""

    def __init__(self, folder: Path, console: FakeConsole, wiki: int) -> None:
        authority = Authority()
        self.console = console
        self.gateway = LabGateway(folder / "gateway", authority, "connector-1")
        self.home = enrolled_server(
            folder / "server", authority, "server-1", "connector-1", console=console.url
        )
        self.applications = [application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{wiki}")]
        self.configuration = configuration(self.home, [self.gateway], self.applications)
        self.log = folder / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None
        console.answers["server/config"] = lambda body: (200, self.configuration)
        console.answers["telemetry"] = lambda body: (
            200,
            {
                "acknowledged": len(body["samples"]),
                "wanted_version": self.configuration["version"],
                "epoch": self.configuration.get("epoch", ""),
                "interval": 0.2,
            },
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "edge.cli",
                    "connector",
                    "run",
                    "--home",
                    str(self.home.path),
                    "--concurrency",
                    "1",
                ],
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return self.agent.wait(timeout=30)

    def envoy(self) -> int | None:
        """The pid of this server's Envoy, or None."""
        try:
            pid = int(json.loads(self.home.file("envoy/envoy.pid").read_text())["pid"])
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    async def served(self) -> bool:
        through = ("--proxy", f"http://127.0.0.1:{self.gateway.access}", "--output", "/dev/null")
        return (await curl(*through, "--write-out", "%{http_code}", "http://wiki.corp.example/"))[1] == "200"

    async def samples(self) -> list[dict[str, Any]]:
        return [sample for body in self.console.bodies("telemetry") for sample in body["samples"]]


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    with FakeConsole().running() as console, running_application() as wiki:
        made = World(folder, console, wiki)
        try:
            await made.gateway.start()
            yield made
        finally:
            if made.agent is not None and made.agent.poll() is None:
                made.end(signal.SIGKILL)
            await EnvoyProcess(made.home.file("envoy")).end_all()
            await made.gateway.envoy.stop()


def in_world(folder: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(folder) as made:
            try:
                await test(made)
            except BaseException:
                print(made.log.read_text() if made.log.exists() else "no log")
                raise

    asyncio.run(run())


def test_it_dials_follows_the_console_and_leaves_cleanly(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.start()
        await until(world.served, "the application")

        async def told() -> bool:
            return world.console.bodies("telemetry")[-1]["applied_version"] == world.configuration["version"]

        await until(told, "the applied version")
        machine = world.console.bodies("telemetry")[-1]["machine"]
        assert machine["envoy"] == "running" and machine["hostname"]
        before = world.envoy()
        without = configuration(world.home, [world.gateway], [], version=2)
        world.configuration = without | {"epoch": "e0", "seal": "5ea0"}

        async def refused() -> bool:
            return not await world.served()

        await until(refused, "the application gone")
        # The console was restored: another epoch, and a lower number.
        restored = configuration(world.home, [world.gateway], world.applications, version=1)
        world.configuration = restored | {"epoch": "e1", "seal": "5ea1"}
        await until(world.served, "the application back")

        async def of_the_new_epoch() -> bool:
            last = world.console.bodies("telemetry")[-1]
            return (last["epoch"], last["applied_version"], last["seal"]) == ("e1", 1, "5ea1")

        await until(of_the_new_epoch, "the new epoch")
        assert world.envoy() == before
        assert world.end(signal.SIGTERM) == 0
        assert world.envoy() is None
        assert "Traceback" not in world.log.read_text()

    in_world(tmp_path, test)


def test_a_killed_agent_leaves_envoy_alone_and_the_next_adopts_it(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.start()
        await until(world.served, "the application")
        await until(world.samples, "a sample")
        before = world.envoy()
        world.end(signal.SIGKILL)
        assert await world.served(), "flows do not need the agent"
        through = ("--proxy", f"http://127.0.0.1:{world.gateway.access}", "--output", "/dev/null")
        assert (await curl(*through, "http://wiki.corp.example/bytes/3000000"))[0] == 0
        world.start()

        async def counted() -> bool:
            return sum(sample["tx_bytes"] for sample in await world.samples()) >= 3_000_000

        await until(counted, "the bytes that passed while no agent ran")
        assert world.envoy() == before
        assert sum(sample["tx_bytes"] for sample in await world.samples()) < 3_300_000

    in_world(tmp_path, test)


def test_it_works_without_the_console_and_reports_later(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        answers = world.console.answers["telemetry"]
        world.console.answers["telemetry"] = lambda body: (503, {})
        world.home.write_json("config.json", world.configuration)
        world.start()
        await until(world.served, "the application, by the configuration on disk")

        async def sampled() -> bool:
            return len(await world.samples()) > 0

        # It waits longer after each call that failed, by chance up to 30 s.
        await until(sampled, "a sample that the console does not take", 120)
        refused = (await world.samples())[0]
        batch = next(body for body in world.console.bodies("telemetry") if body["samples"])["batch"]
        seen = len(world.console.calls)
        world.console.answers["telemetry"] = answers

        async def delivered() -> list[dict[str, Any]]:
            later = [body for _, body, _ in world.console.calls[seen:]]
            return [body for body in later if refused in body.get("samples", [])]

        again = await until(delivered, "the sample, delivered later")
        assert again[0]["batch"] == batch, "the same set goes under the same name"

        async def silent() -> bool:
            return world.console.bodies("telemetry")[-1]["samples"] == []

        await until(silent, "nothing left to send")
        assert len(await delivered()) == 1, "what is acknowledged is not sent again"

    in_world(tmp_path, test)


def test_switched_off_it_hangs_up_and_on_again_it_dials(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.start()
        await until(world.served, "the application")
        off = {"id": "server-1", "enabled": False}
        world.configuration = configuration(
            world.home, [world.gateway], world.applications, version=2, server=off
        )

        async def gone() -> bool:
            return world.envoy() is None

        await until(gone, "Envoy stopped")
        assert not await world.served()
        world.configuration = configuration(world.home, [world.gateway], world.applications, version=3)
        await until(world.served, "the application again")
        assert world.envoy() is not None

    in_world(tmp_path, test)


def test_envoy_killed_is_back_and_tunnels_with_it(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.start()
        await until(world.served, "the application")
        before = world.envoy()
        assert before is not None
        os.kill(before, signal.SIGKILL)

        async def again() -> bool:
            return world.envoy() not in (None, before) and await world.served()

        await until(again, "the application through a new Envoy")

    in_world(tmp_path, test)


def test_a_removed_machine_says_so_and_does_not_spin(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.home.write_json("config.json", world.configuration)
        world.console.answers["telemetry"] = lambda body: (403, refusal("MachineUnknown", "It was removed."))
        world.start()

        async def said() -> bool:
            return "It was removed." in world.log.read_text()

        await until(said, "a line in the log")

        async def hung_up() -> bool:
            return world.envoy() is None

        await until(hung_up, "no tunnel of a machine that was removed")
        assert world.end(signal.SIGTERM) == 0
        assert len(world.console.bodies("telemetry")) == 1
        assert world.log.read_text().count("It was removed.") == 1

    in_world(tmp_path, test)


def test_a_clock_that_could_not_be_corrected_at_once_is_corrected_soon(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        usual = world.console.answers["telemetry"]
        world.console.answers["telemetry"] = lambda body: (401, refusal("ClockSkew", "Your clock is off."))
        world.start()

        async def refused() -> bool:
            return "Your clock is off." in world.log.read_text()

        await until(refused, "the refusal in the log")
        world.console.answers["telemetry"] = usual
        before = len(world.console.calls)

        async def heard() -> bool:
            return any(path == "server/config" for path, _, _ in world.console.calls[before:])

        # A machine that was removed would ask once a minute.
        await until(heard, "a call that is taken")
        await until(world.served, "the application")
        assert world.end(signal.SIGTERM) == 0

    in_world(tmp_path, test)


def test_a_configuration_going_backwards_is_not_taken(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.configuration = configuration(world.home, [world.gateway], world.applications, version=5)
        world.start()
        await until(world.served, "the application")
        world.configuration = configuration(world.home, [world.gateway], [], version=4)

        async def said() -> bool:
            return "older than 5" in world.log.read_text()

        await until(said, "a line in the log")
        assert await world.served()
        assert (Home(world.home.path).read_json("config.json") or {})["version"] == 5

    in_world(tmp_path, test)
