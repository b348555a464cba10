"""The whole life of a server, by the commands of the Deploy panel: deployed, looked at, packed, taken away again."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.demo import Demo, post, wait_until
from tests.e2e.deployed import (
    INSTALL_SECONDS,
    Machine,
    an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good,
    running_again_changes_nothing,
    server_command,
    server_online,
    the_archive_has_no_secret,
)
from tests.running import causeway


@pytest.fixture
def client(demo: Demo, admin: httpx.Client) -> Iterator[httpx.Client]:
    """Take servers that a test adds to the demo's connector out again."""
    connector = demo.connector()["id"]
    before = servers(admin, connector)
    yield admin
    for left in servers(admin, connector) - before:
        post(admin, f"/sase/connectors/{connector}/servers/{left}/remove/").raise_for_status()


def servers(client: httpx.Client, connector: str) -> set[str]:
    return set(re.findall(r"server-[0-9a-f]{16}", client.get(f"/sase/connectors/{connector}/servers/").text))


@pytest.mark.slow
@pytest.mark.timeout(600)  # three installations, each as slow as the package index
def test_a_server_is_deployed_looked_at_packed_and_taken_away(
    demo: Demo, machine: Machine, client: httpx.Client
) -> None:
    connector = demo.connector()["id"]
    before = servers(client, connector)
    command = server_command(client, connector)
    machine.deploy(command)
    wait_until(machine.is_good, INSTALL_SECONDS, what="no red light")
    output = machine.output()
    assert "The checksum is right" in output and "ok      clock" in output and "ok      gateway" in output

    server = machine.id
    assert servers(client, connector) == before | {server}
    wait_until(lambda: server_online(client, connector, server), 30, what="the server in the console")
    wait_until(machine.is_green, 30, what="four green lights")

    running_again_changes_nothing(machine, command)
    assert servers(client, connector) == before | {server}
    the_archive_has_no_secret(machine)

    agent = next(p for p in machine.processes() if "connector run" in " ".join(p.cmdline()))
    agent.kill()
    code, report = machine.status()
    assert code == 1 and "agent does not run" in report["lights"][0]["reason"]
    wait_until(machine.is_good, 30, what="the agent started again")

    an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good(machine)
    wait_until(lambda: server_online(client, connector, server), 30, what="the upgraded server online")

    assert seen_by_gateways(demo, server) == {True}
    post(client, f"/sase/connectors/{connector}/servers/{server}/remove/").raise_for_status()
    assert servers(client, connector) == before
    wait_until(lambda: seen_by_gateways(demo, server) == {False}, 40, what="its tunnels gone")

    done = machine.run(machine.script("--uninstall"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.running is not None and machine.running.wait(30) == 0, machine.output()
    assert not machine.home.exists()
    assert machine.processes() == []
    assert machine.run(machine.script("--uninstall")).returncode == 0, "a second time does no harm"


def seen_by_gateways(demo: Demo, server: str) -> set[bool]:
    """Tell whether the demo's gateways have tunnels of a server, by their own ``causeway status``."""
    found = set()
    for home in demo.home.glob("machine-gateway-*"):
        report = json.loads(causeway("status", "--json", "--home", str(home)).stdout)
        light = next(light for light in report["lights"] if light["name"] == "tunnel")
        found.add(server in light["reason"])
    return found
