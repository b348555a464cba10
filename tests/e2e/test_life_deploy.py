"""The whole life of a server, by the commands of the Deploy panel: deployed, looked at, packed, taken away again."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.demo import Demo, post, wait_until
from tests.e2e.deployed import INSTALL_SECONDS, Machine, command_of


@pytest.fixture
def machine(demo: Demo, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(demo, tmp_path / "machine")
    yield made
    made.destroy()


def servers(browser: httpx.Client, connector: str) -> set[str]:
    return set(re.findall(r"server-[0-9a-f]{16}", browser.get(f"/sase/connectors/{connector}/servers/").text))


@pytest.mark.slow
@pytest.mark.timeout(600)  # three installations, each as slow as the package index
def test_a_server_is_deployed_looked_at_packed_and_taken_away(demo: Demo, machine: Machine):
    connector = demo.connector()["id"]
    with contextlib.closing(demo.admin_client()) as browser:
        before = servers(browser, connector)
        command = command_of(browser, connector)
        machine.deploy(command)
        wait_until(machine.is_good, INSTALL_SECONDS, what="four good lights")
        output = machine.output()
        assert "The checksum is right" in output and "ok      clock" in output and "ok      gateway" in output

        identity = json.loads((machine.home / "identity.json").read_text())
        assert servers(browser, connector) == before | {identity["id"]}
        wait_until(
            lambda: online(browser, connector, identity["id"]), 30, what="the server online in the console"
        )
        lights = {light["name"]: light for light in machine.status()[1]["lights"]}
        assert set(lights) == {"process", "tunnel", "configuration", "destinations"}
        assert {light["color"] for light in lights.values()} == {"green"}

        running_again_changes_nothing(machine, command, identity)
        assert servers(browser, connector) == before | {identity["id"]}
        the_archive_has_no_secret(machine)

        agent = next(p for p in machine.processes() if "connector run" in " ".join(p.cmdline()))
        agent.kill()
        code, report = machine.status()
        assert code == 1 and "agent does not run" in report["lights"][0]["reason"]
        wait_until(machine.is_good, 30, what="the agent started again")

        an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good(machine)
        wait_until(lambda: online(browser, connector, identity["id"]), 30, what="the upgraded server online")

        assert seen_by_gateways(demo, identity["id"]) == {True}
        post(browser, f"/sase/connectors/{connector}/servers/{identity['id']}/remove/").raise_for_status()
        assert servers(browser, connector) == before
        wait_until(lambda: seen_by_gateways(demo, identity["id"]) == {False}, 40, what="its tunnels gone")

        done = machine.run(machine.script("--uninstall"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert machine.running is not None and machine.running.wait(30) == 0, machine.output()
        assert not machine.home.exists()
        assert machine.processes() == []
        assert machine.run(machine.script("--uninstall")).returncode == 0, "a second time does no harm"


def online(browser: httpx.Client, connector: str, server: str) -> bool:
    page = browser.get(f"/sase/connectors/{connector}/servers/{server}/").text
    return "Running" in page and "4 tunnels" in page and "No tunnel" not in page and "Current" in page


def an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good(machine: Machine) -> None:
    """With wheels of other contents on the console: one whose agent does not start, and one that is good."""
    wheel = next((machine.demo.home / "wheel").glob("causeway-*.whl"))
    original, before = wheel.read_bytes(), (machine.home / "program").readlink()
    upgrade = machine.script("--upgrade")
    try:
        broken = b"raise RuntimeError('this version is broken')\n"
        wheel.write_bytes(with_file(original, "edge/connector/agent.py", broken))
        failed = machine.run(f"export CAUSEWAY_HEALTH_TRIES=8; {upgrade}")
        assert failed.returncode == 1, failed.stdout
        assert "The new version did not become healthy: back at causeway" in failed.stderr
        assert "agent does not run" in failed.stdout
        assert (machine.home / "program").readlink() == before
        wait_until(machine.is_good, 30, what="the version before, in good health")

        wheel.write_bytes(with_file(original, "edge/upgraded.py", b"UPGRADED = True\n"))
        done = machine.run(upgrade)
        assert done.returncode == 0 and "in good health" in done.stdout, done.stdout + done.stderr
        after = (machine.home / "program").readlink()
        assert after != before and list((machine.home / "versions").iterdir()) == [after]
        assert list(after.glob("lib/python3*/site-packages/edge/upgraded.py"))
        assert machine.is_good()
    finally:
        wheel.write_bytes(original)


def with_file(wheel: bytes, name: str, data: bytes) -> bytes:
    """A wheel with one file replaced or added."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(wheel)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for entry in source.infolist():
            if entry.filename != name:
                out.writestr(entry, source.read(entry))
        out.writestr(name, data)
    return target.getvalue()


def seen_by_gateways(demo: Demo, server: str) -> set[bool]:
    """Whether the demo's gateways have tunnels of a server, by their own ``causeway status``."""
    found = set()
    for home in demo.home.glob("machine-gateway-*"):
        command = [sys.executable, "-m", "edge.cli", "status", "--json", "--home", str(home)]
        report = json.loads(
            subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        )
        light = next(light for light in report["lights"] if light["name"] == "tunnel")
        found.add(server in light["reason"])
    return found


def running_again_changes_nothing(machine: Machine, command: str, identity: dict) -> None:
    """The same line pasted a second time: its code is used, the machine is enrolled, the agent runs."""
    again = machine.run(f"{command} --foreground --home {machine.home}")
    assert "is enrolled already; its identity is kept" in again.stdout, again.stdout + again.stderr
    assert again.returncode == 0 and "is running already" in again.stdout
    assert json.loads((machine.home / "identity.json").read_text()) == identity
    assert machine.is_good()


def the_archive_has_no_secret(machine: Machine) -> None:
    done = machine.run(machine.script("--export-logs"))
    assert done.returncode == 0, done.stderr
    archive = next(machine.work.glob("causeway-logs-*.tar.gz"))
    assert archive.stat().st_mode & 0o077 == 0
    keys = {
        line
        for file in machine.home.glob("pki/*.key")
        for line in file.read_text().splitlines()
        if not line.startswith("-----")
    }
    assert keys
    with tarfile.open(archive) as tar:
        texts = {member.name: tar.extractfile(member).read().decode(errors="replace") for member in tar}
    assert any(name.endswith("envoy.log") for name in texts) and any(
        name.endswith("config.json") for name in texts
    )
    for name, text in texts.items():
        assert "PRIVATE KEY" not in text, name
        assert not any(key in text for key in keys), name
