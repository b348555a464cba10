"""A server or a gateway as the Deploy panel's commands make it, in a folder in place of a machine.

`tests.e2e.booted` has the same with a systemd. What holds for each of them is tried by the functions at the end.
"""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.demo import Demo, clean_environment, is_alive, post, wait_until
from tests.e2e.wheels import AGENT, BROKEN, deployment_python, offered, packages, with_file
from tests.running import ran

INSTALL_SECONDS = 240
COMMAND = re.compile(
    r"curl -fsSL http://[^<]*?/deploy/(?:connector|gateway)\.sh \| sh -s -- --code [A-Z2-9-]{14}"
)
CONFIGURATION = {"connector": "config.json", "gateway": "snapshot.json"}
LAST_LIGHT = {"connector": "destinations", "gateway": "clients"}


class Deployed(ABC):
    """``kind``: connector or gateway. ``home`` and ``place`` (of its program) are where we find them, ``named_home``
    and ``named_place`` what they are called on the machine, ``options`` what the script needs to know of it.
    """

    demo: Demo
    kind: str
    home: Path
    place: Path
    named_home: str
    named_place: str
    options = ""
    # Who runs what is installed.
    user = ""
    # Where the commands are run.
    work: Path

    @abstractmethod
    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """What a shell of the machine's owner makes of a command."""

    def script(self, *options: str) -> str:
        """A command as the panel shows it, without a code."""
        fetch = f"curl -fsSL {self.demo.console}/deploy/{self.kind}.sh | sh -s --"
        return " ".join([fetch, *options, self.options])

    def causeway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The program that is installed; the machine's folder is named to it."""
        at = [] if arguments == ("--version",) else ["--home", self.named_home]
        program = f"{self.named_place}/program/bin/causeway"
        return self.run(" ".join([self.user, program, *arguments, *at]))

    @property
    def id(self) -> str:
        return str(json.loads((self.home / "identity.json").read_text())["id"])

    def version(self) -> str:
        return self.causeway("--version").stdout.split()[-1]

    def agent(self) -> str:
        """The process id of the agent; empty when it does not run."""
        return self.causeway(self.kind, "pid").stdout.strip()

    def installed(self) -> list[Path]:
        return list((self.place / "versions").iterdir())

    def in_use(self) -> Path:
        return (self.place / "program").readlink()

    def status(self) -> tuple[int, dict[str, Any]]:
        done = self.causeway("status", "--json")
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    def lights(self) -> dict[str, str]:
        """Each light's colour by its name."""
        return {light["name"]: light["color"] for light in self.status()[1].get("lights", [])}

    def is_good(self) -> bool:
        """Enrolled, and no light is red."""
        return (self.home / "identity.json").exists() and self.status()[0] == 0

    def is_green(self) -> bool:
        """All four lights are green: nothing is left unmeasured."""
        return self.is_good() and self.lights() == dict.fromkeys(
            ("process", "tunnel", "configuration", LAST_LIGHT[self.kind]), "green"
        )


class Machine(Deployed):
    """A folder in place of a machine: everything that the script makes lies in it, or is reported."""

    def __init__(self, demo: Demo, folder: Path, kind: str = "connector") -> None:
        self.demo, self.kind, self.folder = demo, kind, folder
        self.home = self.place = folder / "home"
        self.named_home = self.named_place = str(self.home)
        self.options = f"--foreground --home {self.home}"
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.running: subprocess.Popen[str] | None = None
        wheels = packages(demo, deployment_python())
        # Not compiled ahead of use (pip wants a 0 for that), which takes half of the time of an installation.
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_COMPILE": "0"}
        self.environment = clean_environment() | pip

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return ran("sh", "-c", command, cwd=self.work, env=self.environment, seconds=INSTALL_SECONDS)

    def deploy(self, command: str) -> None:
        """Run the panel's command and leave it running, as in a terminal."""
        with (self.folder / "output").open("a") as output:
            self.running = subprocess.Popen(
                ["sh", "-c", f"{command} {self.options}"],
                cwd=self.work,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def is_good(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self.output()
        return super().is_good()

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


@contextmanager
def machine_in(demo: Demo, folder: Path, kind: str = "connector") -> Iterator[Machine]:
    made = Machine(demo, folder, kind)
    try:
        yield made
    finally:
        made.destroy()


# -- The console's side -----------------------------------------------------------------------------------------------


def command_of(client: httpx.Client, page: str) -> str:
    """What a Deploy panel (its path) offers to copy, after the click on the button."""
    assert not COMMAND.search(html.unescape(client.get(page).text)), "a look makes no code"
    answer = post(client, page)
    found = COMMAND.search(html.unescape(answer.text))
    assert found, answer.text
    return found[0]


def server_command(client: httpx.Client, connector: str) -> str:
    return command_of(client, f"/sase/connectors/{connector}/deploy/")


def server_online(client: httpx.Client, connector: str, server: str) -> bool:
    """Whether the Deploy Server tab says all that is good of a server."""
    page = client.get(f"/sase/connectors/{connector}/servers/{server}/").text
    return "Running" in page and "4 tunnels" in page and "No tunnel" not in page and "Current" in page


# -- What holds for each of them --------------------------------------------------------------------------------------


def running_again_changes_nothing(machine: Deployed, command: str) -> None:
    """The same line pasted a second time: its code is used, the machine is enrolled, the agent runs."""
    identity, agent, used = (machine.home / "identity.json").read_text(), machine.agent(), machine.in_use()
    again = machine.run(f"{command} {machine.options}")
    assert "is enrolled already; its identity is kept" in again.stdout, again.stdout + again.stderr
    assert again.returncode == 0 and "is running already" in again.stdout, again.stdout + again.stderr
    assert (machine.home / "identity.json").read_text() == identity
    assert machine.agent() == agent and machine.in_use() == used
    assert machine.is_good()


def text_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file, f"{member.name} is no file"
    return file.read().decode(errors="replace")


def the_archive_has_no_secret(machine: Deployed) -> None:
    """What `--export-logs` leaves in the folder where it is run."""
    done = machine.run(machine.script("--export-logs"))
    assert done.returncode == 0, done.stderr
    archive = next(machine.work.glob("causeway-logs-*.tar.gz"))
    assert archive.stat().st_mode & 0o077 == 0
    secrets = secrets_of(machine)
    with tarfile.open(archive) as tar:
        texts = {member.name: text_of(tar, member) for member in tar}
    names = {name.rpartition("/")[2] for name in texts}
    assert {"agent.log", "envoy.log", "facts.json", CONFIGURATION[machine.kind]} <= names
    for name, text in texts.items():
        assert not any(secret in text for secret in secrets), name


def secrets_of(machine: Deployed) -> set[str]:
    """Words that must not leave the machine: lines of its private keys, and the keys of the probes."""
    lines = [line for file in machine.home.glob("pki/*.key") for line in file.read_text().splitlines()]
    keys = {line for line in lines if not line.startswith("-----")}
    probes = set(re.findall(r'"echo_key": "(\w+)"', (machine.home / CONFIGURATION[machine.kind]).read_text()))
    assert keys and probes
    return keys | probes | {"PRIVATE KEY"}


def an_upgrade_goes_back_when_it_fails_and_on_when_it_is_good(machine: Deployed) -> None:
    """With wheels of other contents on the console: one whose agent does not start, and one that is good."""
    before = machine.in_use()
    with offered(machine.demo) as folder:
        wheel = next(folder.glob("causeway-*.whl"))
        original = wheel.read_bytes()
        wheel.write_bytes(with_file(original, AGENT[machine.kind], BROKEN))
        failed = machine.run(f"export CAUSEWAY_HEALTH_TRIES=8; {machine.script('--upgrade')}")
        assert failed.returncode == 1, failed.stdout
        assert "The new version did not become healthy: back at causeway" in failed.stderr
        assert "agent does not run" in failed.stdout
        assert machine.in_use() == before
        wait_until(machine.is_good, 30, what="the version before, in good health")

        wheel.write_bytes(with_file(original, "edge/upgraded.py", b"UPGRADED = True\n"))
        done = machine.run(machine.script("--upgrade"))
        assert done.returncode == 0 and "in good health" in done.stdout, done.stdout + done.stderr
        (installed,) = machine.installed()
        assert machine.in_use() != before and machine.in_use().name == installed.name
        assert list(installed.glob("lib/python3*/site-packages/edge/upgraded.py"))
        assert machine.is_good()
