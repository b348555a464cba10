"""The hardened services under a real systemd without any network, so that their console is away from the start."""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import ROOT, wait_until
from tests.e2e.booted import CONFINED, Container, confinement, missing
from tests.edge.connector_lab import Authority, application, configuration, enrolled_server
from tests.edge.deploy_script import write_unit
from tests.edge.gateway_lab import GatewayLab

PYTHON = Path(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
PLACE = "/opt/causeway-test"
DAEMON = 1  # the user whom every system has


def enrolled_machine(kind: str, folder: Path) -> None:
    """Leave in ``folder/home`` what an enrollment and a configuration leave there."""
    if kind == "gateway":
        GatewayLab(folder)
        return
    home = enrolled_server(folder / "home", Authority(), "server-1", "connector-1")
    applications = [application(["wiki.corp.example"], [[80, 80]], "127.0.0.1:80")]
    gateway = {"id": "gateway-1", "host": "127.0.0.1", "port": 9}
    home.write_json("config.json", configuration(home, [], applications) | {"gateways": [gateway]})


def laid_out(files: Path, kind: str) -> None:
    """Lay a machine of this kind out in a folder like a root: home, program, and the deploy script's unit."""
    place = files / PLACE.lstrip("/") / kind
    place.mkdir(parents=True)
    enrolled_machine(kind, place)
    program = place / "causeway"
    paths = f"{PLACE}/source:{PLACE}/packages"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 exec {PYTHON} -m edge.cli "$@"\n'
    )
    program.chmod(0o755)
    for path in (place, *place.rglob("*")):
        os.chown(path, DAEMON, DAEMON, follow_symlinks=False)
    units = files / "etc" / "systemd" / "system"
    units.mkdir(parents=True, exist_ok=True)
    inside = f"{PLACE}/{kind}"
    write_unit(units / f"causeway-{kind}.service", kind, user="daemon", home=f"{inside}/home", place=inside)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if reason := missing():
        pytest.skip(reason)
    if not PYTHON.exists():
        pytest.skip(
            f"needs {PYTHON}, a Python like that of this run, for a user that is not root (Debian: python3)"
        )
    folder = tmp_path_factory.mktemp("systemd")
    files = folder / "files"
    for kind in ("connector", "gateway"):
        laid_out(files, kind)
    # Bound where a service may read: a checkout may lie in a home folder or below /tmp.
    packages = Path(sysconfig.get_path("purelib"))
    made = Container(folder, files, {f"{PLACE}/source/edge": ROOT / "edge", f"{PLACE}/packages": packages})
    yield made
    made.end()
    shutil.rmtree(files)


@pytest.mark.processes
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["connector", "gateway"])
def test_the_service_runs_hardened_comes_back_and_leaves_nothing_running(
    container: Container, kind: str
) -> None:
    unit = f"causeway-{kind}"

    def process_light() -> tuple[str, str]:
        """Return the light of the agent and its Envoy, as the service's own user sees it."""
        command = [f"{PLACE}/{kind}/causeway", "status", "--json", "--home", f"{PLACE}/{kind}/home"]
        told = container.say("runuser", "-u", "daemon", "--", *command)
        light = json.loads(told)["lights"][0]
        return light["name"], light["color"]

    container.run("systemctl", "start", unit)
    wait_until(lambda: process_light() == ("process", "green"), 30, what="agent and Envoy")
    envoy, agent = container.say("pgrep", "-x", "envoy"), container.main_pid(unit)
    assert envoy.isdigit() and confinement(container, unit) == CONFINED[kind]

    container.run("kill", "-KILL", agent)
    wait_until(lambda: f"Adopting Envoy, process {envoy}" in container.log_of(unit), 30, what="another agent")
    wait_until(lambda: process_light() == ("process", "green"), 30, what="agent and Envoy")
    assert container.say("pgrep", "-x", "envoy") == envoy, "open flows live on in the same Envoy"
    assert container.main_pid(unit) not in ("0", agent)

    container.run("systemctl", "stop", unit)
    assert container.say("systemctl", "is-active", unit) == "inactive"
    assert container.say("pgrep", "-x", "envoy") == ""
