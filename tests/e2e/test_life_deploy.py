"""The whole life of a server, by the commands of the Deploy panel: deployed, looked at, packed, taken away again."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.demo import Demo, clean_environment, is_alive, post, wait_until

INSTALL_SECONDS = 240
COMMAND = re.compile(r"curl -fsSL http://[^<]*?/deploy/connector\.sh \| sh -s -- --code [A-Z2-9-]{14}")


class Machine:
    """A folder in place of a machine: everything that the script makes lies in it, or is reported."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        self.demo, self.folder, self.home = demo, folder, folder / "home"
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.running: subprocess.Popen[str] | None = None

    @property
    def causeway(self) -> str:
        return str(self.home / "program" / "bin" / "causeway")

    def script(self, *options: str) -> str:
        script = f"curl -fsSL {self.demo.console}/deploy/connector.sh | sh -s --"
        return " ".join([script, *options, "--foreground", "--home", str(self.home)])

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.work,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )

    def deploy(self, command: str) -> None:
        """Run the panel's command and leave it running, as in a terminal."""
        with (self.folder / "output").open("a") as output:
            self.running = subprocess.Popen(
                ["sh", "-c", f"{command} --foreground --home {self.home}"],
                cwd=self.work,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def status(self) -> tuple[int, dict]:
        done = self.run(f"{self.causeway} status --json --home {self.home}")
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    def is_good(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self.output()
        return (self.home / "identity.json").exists() and self.status()[0] == 0

    def processes(self) -> list[psutil.Process]:
        """Whatever works in this folder or was started from it."""
        found = []
        for process in psutil.process_iter():
            try:
                places = [process.cwd(), *process.cmdline()]
            except psutil.Error:
                continue
            if any(str(self.home) in place for place in places) and is_alive(process):
                found.append(process)
        return found

    def destroy(self) -> None:
        if self.running is not None and self.running.poll() is None:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()
        for process in self.processes():
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def machine(demo: Demo, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(demo, tmp_path / "machine")
    yield made
    made.destroy()


def command_of(browser: httpx.Client, connector: str) -> str:
    """What the panel offers to copy, after the click on the button."""
    page = f"/sase/connectors/{connector}/deploy/"
    assert not COMMAND.search(html.unescape(browser.get(page).text)), "a look makes no code"
    answer = post(browser, page)
    found = COMMAND.search(html.unescape(answer.text))
    assert found, answer.text
    return found[0]


def servers(browser: httpx.Client, connector: str) -> set[str]:
    return set(re.findall(r"server-[0-9a-f]{16}", browser.get(f"/sase/connectors/{connector}/servers/").text))


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_SECONDS + 180)
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

        done = machine.run(machine.script("--uninstall"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert machine.running is not None and machine.running.wait(30) == 0, machine.output()
        assert not machine.home.exists()
        assert machine.processes() == []
        assert machine.run(machine.script("--uninstall")).returncode == 0, "a second time does no harm"

        post(browser, f"/sase/connectors/{connector}/servers/{identity['id']}/remove/").raise_for_status()
        assert servers(browser, connector) == before


def online(browser: httpx.Client, connector: str, server: str) -> bool:
    page = browser.get(f"/sase/connectors/{connector}/servers/{server}/").text
    return "Running" in page and "4 tunnels" in page and "No tunnel" not in page and "Current" in page


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
