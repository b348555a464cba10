"""``causeway status`` and ``causeway check``: what a machine says of itself, its agent alive, dead or never started."""

import asyncio
import datetime as dt
import json
import re
import signal
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from edge.home import Home
from edge.machine.checks import Check, checks
from tests.edge.connector_lab import configuration, enrolled_server, until
from tests.edge.gateway_pki import Authority
from tests.edge.server_lab import World
from tests.ports import free_port
from tests.running import causeway


def lights(home: Home) -> tuple[int, dict[str, tuple[str, str]]]:
    done = causeway("status", "--json", "--home", str(home.path))
    found = json.loads(done.stdout)["lights"]
    return done.returncode, {light["name"]: (light["color"], light["reason"]) for light in found}


async def good(world: World) -> dict[str, tuple[str, str]]:
    """Start the agent, wait until none of its lights is red, and return them."""
    await world.begin()

    async def none_is_red() -> bool:
        return (await asyncio.to_thread(lights, world.home))[0] == 0

    await until(none_is_red, "four lights none of which is red")
    return (await asyncio.to_thread(lights, world.home))[1]


@pytest.mark.processes
async def test_four_green_lights_and_what_turns_each_of_them_red(world: World) -> None:
    found = await good(world)
    assert found.keys() == {"process", "tunnel", "configuration", "destinations"}
    assert {color for color, _ in found.values()} == {"green"}
    # Two are wanted; one more may live for a while, where a slow machine took a tunnel for lost.
    assert re.search("gateway-1: [23]", found["tunnel"][1])

    # The console wants what this server cannot get; an application is gone; so is the gateway.
    world.console.answers["server/config"] = lambda body: (503, {})
    world.configuration = {**world.configuration, "version": 2}
    port = free_port()
    known = world.home.read_json("config.json") or {}
    known["applications"][0]["origin"] = f"127.0.0.1:{port}"
    world.home.write_json("config.json", known)
    await world.gateway.envoy.stop()

    def three_red() -> bool:
        _, found = lights(world.home)
        return [found[name][0] for name in ("tunnel", "configuration", "destinations")] == ["red"] * 3

    await until(partial(asyncio.to_thread, three_red), "three red lights")
    code, found = await asyncio.to_thread(lights, world.home)
    assert code == 1 and found["process"][0] == "green"
    assert found["tunnel"][1].startswith("There is no tunnel to gateway-1.")
    assert found["configuration"][1].startswith("Version 1 is in force, the console wants 2. ")
    assert "The console answered with status 503." in found["configuration"][1]
    assert found["destinations"][1] == f"No answer from app at 127.0.0.1:{port}."

    assert world.agent
    world.agent.send_signal(signal.SIGSTOP)
    code, found = await asyncio.to_thread(lights, world.home)
    assert code == 1 and found["process"][0] == "red" and "is stopped" in found["process"][1]
    world.agent.send_signal(signal.SIGCONT)

    world.end(signal.SIGKILL)
    _, found = await asyncio.to_thread(lights, world.home)
    assert found["process"] == ("red", "The agent does not run. Envoy still runs; open flows go on.")


@pytest.mark.processes
async def test_a_server_without_the_module_works_and_says_so_in_yellow(
    without_module: None, world: World
) -> None:
    color, reason = (await good(world))["process"]
    assert color == "yellow"
    assert "was not built for this machine" in reason and "may be lost" in reason


@pytest.mark.processes
def test_a_machine_that_never_ran_says_what_is_missing(tmp_path: Path) -> None:
    home = enrolled_server(tmp_path / "home", Authority(), "server-1", "connector-1")
    code, found = lights(home)
    assert code == 1
    assert found["process"] == ("red", "The agent does not run. Envoy does not run either.")
    assert found["configuration"] == ("red", "There is no configuration on disk yet.")


@pytest.mark.processes
def test_without_an_enrollment_there_is_a_code_of_its_own(tmp_path: Path) -> None:
    done = causeway("status", "--home", str(tmp_path))
    assert done.returncode == 2 and "There is no enrolled gateway or server" in done.stderr
    done = causeway("status", "--json", "--home", str(tmp_path))
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told["enrolled"] is False and str(tmp_path) in told["reason"]


@pytest.mark.processes
async def test_a_second_agent_stands_back(world: World) -> None:
    await world.begin()
    second = await asyncio.to_thread(causeway, "connector", "run", "--home", str(world.home.path))
    assert second.returncode == 3 and "is running already" in second.stderr
    assert await world.served()


def examined(home: Path, answer: httpx.Response | Exception) -> dict[str, Check]:
    def console(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(console)
    found = asyncio.run(checks("https://localhost", Home(home), transport=transport))
    return {check.name: check for check in found}


def console_clock(offset: float) -> httpx.Response:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=offset)
    return httpx.Response(200, headers={"date": format_datetime(now, usegmt=True)})


@pytest.mark.parametrize(("offset", "word"), [(3600, "behind"), (-3600, "ahead of")])
def test_a_clock_that_is_off_is_an_error_with_its_fix(tmp_path: Path, offset: float, word: str) -> None:
    clock = examined(tmp_path, console_clock(offset))["clock"]
    assert clock.severity == "error" and word in clock.finding and "timedatectl" in clock.fix


def test_a_machine_that_has_all_it_needs(tmp_path: Path) -> None:
    found = examined(tmp_path, console_clock(0))
    assert {found[name].severity for name in ("clock", "console", "console's name", "disk")} == {"ok"}


def test_a_console_that_cannot_be_reached_is_an_error_with_its_fix(tmp_path: Path) -> None:
    console = examined(tmp_path, httpx.ConnectError("refused"))["console"]
    assert console.severity == "error" and "firewall" in console.fix


@pytest.mark.processes
def test_a_gateway_that_does_not_answer_is_named_and_hinders_nothing(tmp_path: Path) -> None:
    home = enrolled_server(tmp_path / "home", Authority(), "server-1", "connector-1")
    port = free_port()
    gateways = [{"id": "gateway-7", "host": "127.0.0.1", "port": port}]
    home.write_json("config.json", configuration(home, [], []) | {"gateways": gateways})
    gateway = examined(home.path, console_clock(0))["gateway gateway-7"]
    assert gateway.severity == "warning" and f"port {port}" in gateway.fix


@pytest.mark.processes
def test_a_name_that_does_not_resolve_is_an_error(tmp_path: Path) -> None:
    done = causeway("check", "--console", "https://console.invalid", "--home", str(tmp_path / "home"))
    assert done.returncode == 1 and "console.invalid cannot be resolved" in done.stdout
    assert "/etc/resolv.conf" in done.stdout
