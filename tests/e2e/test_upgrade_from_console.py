"""Two servers upgraded by a click in the console, one after the other; then a version that does not start; their logs.

Real wheels, built out of this source under other version numbers; real processes, installed by the panel's command.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.demo import Demo, post, wait_until
from tests.e2e.deployed import INSTALL_SECONDS, Machine, built_wheel, command_of
from tests.e2e.private_access import Administrator

GOOD, BROKEN = "0.9.1", "0.9.2"


@pytest.fixture
def browser(demo: Demo) -> Iterator[httpx.Client]:
    with contextlib.closing(demo.admin_client()) as client:
        yield client


@pytest.fixture
def connector(demo: Demo, browser: httpx.Client) -> Iterator[str]:
    administrator = Administrator(demo, browser)
    added = administrator.add("connectors", "connector", "upgraded", region="cn-shanghai")
    yield added
    administrator.post(f"connectors/{added}/delete/")


@pytest.fixture
def pair(demo: Demo, connector: str, browser: httpx.Client, tmp_path: Path) -> Iterator[list[Machine]]:
    """Two servers of the connector, deployed by its panel's command and in good health."""
    machines = [Machine(demo, tmp_path / name) for name in ("first", "second")]
    try:
        for machine in machines:
            machine.deploy(command_of(browser, connector))
            wait_until(machine.is_good, INSTALL_SECONDS, what="four good lights")
        for machine in machines:
            wait_until(lambda m=machine: serves(demo, m), 60, what="a server that the gateways know")
        yield machines
    finally:
        for machine in machines:
            machine.destroy()


@pytest.fixture
def wheels(demo: Demo, tmp_path: Path) -> Iterator[Path]:
    """The console's folder of wheels; what is added is taken away again."""
    folder = demo.home / "wheel"
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


def rows(demo: Demo, query: str, *values: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(demo.home / "causeway.sqlite3", timeout=20)) as database:
        return database.execute(query, values).fetchall()


def id_of(machine: Machine) -> str:
    return str(json.loads((machine.home / "identity.json").read_text())["id"])


def serves(demo: Demo, machine: Machine) -> bool:
    """Enabled, with tunnels to every gateway."""
    query = (
        "SELECT count(*) FROM connectors_server s JOIN connectors_tunnel t ON t.server_id = s.id "
        "WHERE s.id = ? AND s.enabled AND s.drain_until IS NULL AND t.count > 0"
    )
    return rows(demo, query, id_of(machine)) == [(len(demo.world["gateways"]),)]


def version_of(machine: Machine) -> str:
    return machine.run(f"{machine.causeway} --version").stdout.split()[-1]


def upgraded(demo: Demo, browser: httpx.Client, connector: str, version: str) -> str:
    """Click; watch until it is over, and that never more than one server is in hand; the end of the run."""
    url = f"/sase/connectors/{connector}/"
    answer = post(browser, f"{url}upgrade/", {"when": "now", "minutes": "1"})
    assert answer.status_code == 200 and f"to {version}" in answer.text, answer.text
    seen: list[str] = []

    def over() -> str:
        state = rows(demo, "SELECT state FROM connectors_upgrade ORDER BY created_at DESC LIMIT 1")[0][0]
        page = browser.get(f"{url}upgrade/state/").text
        states = re.findall(r"badge-\w+[^>]*>\s*(?:<[^>]+>\s*)*(Draining|Installing|Checking)\b", page)
        assert len(states) <= 1, page
        seen.extend(state for state in states if state not in seen)
        return str(state) if state not in ("waiting", "running") else ""

    end = wait_until(over, 2 * INSTALL_SECONDS, what="the end of the upgrade")
    assert "Installing" in seen, "the page tells what goes on"
    return str(end)


def steps(demo: Demo) -> list[tuple[str, str]]:
    query = (
        "SELECT p.state, p.message FROM connectors_serverupgrade p WHERE p.upgrade_id = "
        "(SELECT id FROM connectors_upgrade ORDER BY created_at DESC LIMIT 1) ORDER BY p.position"
    )
    return rows(demo, query)


@pytest.mark.slow
@pytest.mark.timeout(900)  # five installations, each as slow as the package index
def test_servers_are_upgraded_one_by_one_and_a_broken_version_goes_back(
    demo: Demo, browser: httpx.Client, connector: str, pair: list[Machine], wheels: Path
) -> None:
    every_server_is_upgraded(demo, browser, connector, pair, wheels)
    a_broken_version_goes_back(demo, browser, connector, pair, wheels)
    logs_are_fetched(browser, pair[0])


def every_server_is_upgraded(
    demo: Demo, browser: httpx.Client, connector: str, pair: list[Machine], wheels: Path
) -> None:
    pids = [pid_of(machine) for machine in pair]
    built_wheel(wheels, GOOD, {})
    assert upgraded(demo, browser, connector, GOOD) == "done", steps(demo)
    assert [state for state, _ in steps(demo)] == ["done", "done"]
    for machine, pid in zip(pair, pids, strict=True):
        assert version_of(machine) == GOOD
        assert machine.is_good() and serves(demo, machine)
        assert pid_of(machine) == pid, "for whoever waits for it, the agent never ended"
        wait_until(lambda m=machine: installed(m) == 1, 30, what="the version before removed")


def a_broken_version_goes_back(
    demo: Demo, browser: httpx.Client, connector: str, pair: list[Machine], wheels: Path
) -> None:
    first = pair[0]
    before = (first.home / "program").readlink()
    built_wheel(wheels, BROKEN, {"edge/connector/agent.py": "raise RuntimeError('this version is broken')\n"})
    assert upgraded(demo, browser, connector, BROKEN) == "failed", steps(demo)
    (went_back, why), (left, because) = steps(demo)
    assert (went_back, left) == ("rolled_back", "skipped")
    assert "agent does not run" in why and f"Back at {GOOD}." in why and "Not begun" in because
    assert (first.home / "program").readlink() == before
    assert [version_of(machine) for machine in pair] == [GOOD, GOOD]
    for machine in pair:
        wait_until(lambda m=machine: m.is_good() and serves(demo, m), 60, what="both serve as before")
    page = html.unescape(browser.get(f"/sase/connectors/{connector}/servers/").text)
    assert "Rolled back" in page and "agent does not run" in page
    wait_until(lambda: installed(first) == 1, 30, what="the broken version removed")


def pid_of(machine: Machine) -> str:
    return machine.run(f"{machine.causeway} connector pid --home {machine.home}").stdout


def installed(machine: Machine) -> int:
    return len(list((machine.home / "versions").iterdir()))


def logs_are_fetched(browser: httpx.Client, machine: Machine) -> None:
    """By the page, over the connection that the agent holds anyway; without what must not leave the machine."""
    names, texts = fetched(browser, id_of(machine))
    assert {"agent.log", "upgrade.log", "config.json", "facts.json"} <= names
    assert any("Going on as version" in text for text in texts), "the agent's own words"
    keys = [
        line
        for file in machine.home.glob("pki/*.key")
        for line in file.read_text().splitlines()
        if "-" not in line
    ]
    echo_keys = re.findall(r'"echo_key": "(\w+)"', (machine.home / "config.json").read_text())
    assert keys and echo_keys
    assert not any(secret in text for secret in [*keys, *echo_keys, "PRIVATE KEY"] for text in texts)


def fetched(browser: httpx.Client, machine: str) -> tuple[set[str], list[str]]:
    """Names and texts of the archive that the page leads to."""
    url = f"/machines/{machine}/logs/"
    assert "Asked" in post(browser, f"{url}ask/").text
    wait_until(lambda: "Download" in browser.get(url).text, 60, what="the archive")
    link = re.search(rf'href="({url}logs-\w+\.tar\.gz)"', browser.get(url).text)
    assert link
    answer = browser.get(link[1])
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        members = archive.getmembers()
        texts = [archive.extractfile(member).read().decode(errors="replace") for member in members]
    return {member.name.rpartition("/")[2] for member in members}, texts


@pytest.mark.timeout(120)
def test_logs_of_a_gateway_and_of_a_server_come_by_the_page(demo: Demo, browser: httpx.Client) -> None:
    gateway = demo.gateway()["id"]
    names, texts = fetched(browser, gateway)
    assert {"snapshot.json", "envoy.log", "facts.json"} <= names
    assert not any("PRIVATE KEY" in text for text in texts)
    server = next(name for name in demo.world["processes"] if name.startswith("server-"))
    names, _ = fetched(browser, server)
    assert {"config.json", "agent.log", "envoy.log"} <= names
