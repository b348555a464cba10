"""A server as the Deploy panel's commands make it, in a folder in place of a machine; and wheels to install there."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from tests.demo import ROOT, Demo, clean_environment, is_alive, post

INSTALL_SECONDS = 240
COMMAND = re.compile(r"curl -fsSL http://[^<]*?/deploy/connector\.sh \| sh -s -- --code [A-Z2-9-]{14}")
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "var", "dist", "build", "tests", "bench", "demo", "docs", "__pycache__", "*.sqlite3"
)


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


def command_of(browser: httpx.Client, connector: str) -> str:
    """What the panel offers to copy, after the click on the button."""
    page = f"/sase/connectors/{connector}/deploy/"
    assert not COMMAND.search(html.unescape(browser.get(page).text)), "a look makes no code"
    answer = post(browser, page)
    found = COMMAND.search(html.unescape(answer.text))
    assert found, answer.text
    return found[0]


def built_wheel(target: Path, version: str, changes: Mapping[str, str]) -> Path:
    """Build a wheel of another version out of this very source, some of its files replaced; it lies in ``target``."""
    source = target / f"source-{version}"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    project = source / "pyproject.toml"
    text, count = re.subn(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text())
    assert count == 1
    project.write_text(text)
    for name, content in changes.items():
        assert (source / name).exists(), name
        (source / name).write_text(content)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return next(target.glob(f"causeway-{version}-*.whl"))
