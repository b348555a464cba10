"""Two servers upgraded by a click in the console, one after the other; then a version that does not start; their logs.

Real wheels, built out of this source under other version numbers; real processes, installed by the panel's command.
"""

import html
import io
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.demo import Demo, post, wait_until
from tests.e2e.console_upgrade import serves, steps, upgraded
from tests.e2e.deployed import INSTALL_SECONDS, Machine, machine_in, secrets_of, server_command, text_of
from tests.e2e.private_access import Administrator
from tests.e2e.wheels import AGENT, BROKEN, built_wheel, offered

GOOD, BAD = "0.9.1", "0.9.2"


@pytest.fixture
def connector(demo: Demo, admin: httpx.Client) -> Iterator[str]:
    administrator = Administrator(demo, admin)
    added = administrator.add("connectors", "connector", "upgraded", region="cn-shanghai")
    yield added
    administrator.post(f"connectors/{added}/delete/")


@pytest.fixture
def pair(demo: Demo, connector: str, admin: httpx.Client, tmp_path: Path) -> Iterator[list[Machine]]:
    """Two servers of the connector, deployed by its panel's command and in good health."""
    with machine_in(demo, tmp_path / "first") as first, machine_in(demo, tmp_path / "second") as second:
        for machine in (first, second):
            machine.deploy(server_command(admin, connector))
        for machine in (first, second):
            wait_until(machine.is_good, INSTALL_SECONDS, what="four good lights")
            wait_until(partial(serves, demo, machine), 60, what="a server that the gateways know")
        yield [first, second]


@pytest.fixture
def wheels(demo: Demo) -> Iterator[Path]:
    with offered(demo) as folder:
        yield folder


def has_one_version(machine: Machine) -> bool:
    return len(machine.installed()) == 1


def is_good_and_serves(demo: Demo, machine: Machine) -> bool:
    return machine.is_good() and serves(demo, machine)


@pytest.mark.slow
@pytest.mark.timeout(900)  # five installations, and 40 s in which the broken version might become healthy
def test_servers_are_upgraded_one_by_one_and_a_broken_version_goes_back(
    demo: Demo, admin: httpx.Client, connector: str, pair: list[Machine], wheels: Path
) -> None:
    agents = [machine.agent() for machine in pair]
    built_wheel(wheels, GOOD, {})
    assert upgraded(demo, admin, connector, GOOD) == "done", steps(demo)
    assert [state for state, _ in steps(demo)] == ["done", "done"]
    assert [machine.version() for machine in pair] == [GOOD, GOOD]
    assert [machine.agent() for machine in pair] == agents, "for whoever waits for it, no agent ever ended"
    for machine in pair:
        wait_until(partial(is_good_and_serves, demo, machine), 60, what="both serve")
        wait_until(partial(has_one_version, machine), 30, what="the version before removed")

    before = pair[0].in_use()
    built_wheel(wheels, BAD, {AGENT["connector"]: BROKEN})
    assert upgraded(demo, admin, connector, BAD) == "failed", steps(demo)
    assert [state for state, _ in steps(demo)] == ["rolled_back", "skipped"]
    assert [machine.version() for machine in pair] == [GOOD, GOOD] and pair[0].in_use() == before
    everybody_is_told_and_served(demo, admin, connector, pair)
    logs_are_fetched(admin, pair[0])


def everybody_is_told_and_served(
    demo: Demo, admin: httpx.Client, connector: str, pair: list[Machine]
) -> None:
    """After the version that went back."""
    (_, why), (_, because) = steps(demo)
    assert "agent does not run" in why and f"Back at {GOOD}." in why and "Not begun" in because
    for machine in pair:
        wait_until(partial(is_good_and_serves, demo, machine), 60, what="both serve as before")
    page = html.unescape(admin.get(f"/sase/connectors/{connector}/servers/").text)
    assert "Rolled back" in page and "agent does not run" in page
    wait_until(partial(has_one_version, pair[0]), 30, what="the broken version removed")


def logs_are_fetched(admin: httpx.Client, machine: Machine) -> None:
    """By the page, over the connection that the agent holds anyway; without what must not leave the machine."""
    names, texts = fetched(admin, machine.id)
    assert {"agent.log", "upgrade.log", "config.json", "facts.json"} <= names
    assert any("Going on as version" in text for text in texts), "the agent's own words"
    assert not any(secret in text for secret in secrets_of(machine) for text in texts)


def fetched(admin: httpx.Client, machine: str) -> tuple[set[str], list[str]]:
    """Names and texts of the archive that the page leads to."""
    url = f"/machines/{machine}/logs/"
    assert "Asked" in post(admin, f"{url}ask/").text
    wait_until(lambda: "Download" in admin.get(url).text, 60, what="the archive")
    link = re.search(rf'href="({url}logs-\w+\.tar\.gz)"', admin.get(url).text)
    assert link
    answer = admin.get(link[1])
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        members = archive.getmembers()
        texts = [text_of(archive, member) for member in members]
    return {member.name.rpartition("/")[2] for member in members}, texts


@pytest.mark.timeout(120)
def test_logs_of_a_gateway_and_of_a_server_come_by_the_page(demo: Demo, admin: httpx.Client) -> None:
    gateway = demo.gateway()["id"]
    names, texts = fetched(admin, gateway)
    assert {"snapshot.json", "envoy.log", "facts.json"} <= names
    assert not any("PRIVATE KEY" in text for text in texts)
    server = next(name for name in demo.world["processes"] if name.startswith("server-"))
    names, _ = fetched(admin, server)
    assert {"config.json", "agent.log", "envoy.log"} <= names
