"""The hardened service under a real systemd: booted as process 1 of a container of its own, without any network.

The root is a layer over this machine's: what is written in it is gone at the end.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.demo import ROOT, wait_until
from tests.edge.gateway_lab import GatewayLab

PYTHON = Path("/usr/bin/python3.11")
SCRIPT = ROOT / "templates" / "deploy" / "machine.sh"
PLACE = Path("/opt/causeway-test")
# The layer, and what lies in it before systemd starts.
BOOT = """
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -f "$1/root/.dockerenv"
mkdir -p "$1/root{place}"
cp -a "$2/home" "$2/causeway" "$1/root{place}/"
chown -R daemon "$1/root{place}"
cp "$2/causeway-gateway.service" "$1/root/etc/systemd/system/"
exec systemd-nspawn -D "$1/root" --register=no --keep-unit --private-network --boot --console=pipe \\
    --bind-ro="$3:{place}/source/edge" --bind-ro="$4:{place}/packages" systemd.unit=basic.target
"""


def missing() -> str:
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        return "needs root and systemd-nspawn (Debian: systemd-container)"
    if not PYTHON.exists() or not Path("/usr/lib/systemd/systemd").exists():
        return "needs systemd and a Python 3.11 outside of the home folders"
    if sys.version_info[:2] != (3, 11):
        return "the packages of this run are not for Python 3.11"
    return ""


class Container:
    """A running systemd; ``run`` is a command inside."""

    def __init__(self, folder: Path) -> None:
        layer = folder / "layer"
        layer.mkdir()
        self.log = folder / "boot.log"
        with self.log.open("wb") as log:
            script = ["sh", "-euc", BOOT.replace("{place}", str(PLACE)), "boot", str(layer), str(folder)]
            # Bound where the service may read: a checkout may lie in a home folder or below /tmp.
            script += [str(ROOT / "edge"), sysconfig.get_path("purelib")]
            self._boot = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", *script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._leader = wait_until(self._find_leader, 30, what="systemd as process 1")

    def _find_leader(self) -> int:
        assert self._boot.poll() is None, self.log.read_text()
        for process in psutil.Process(self._boot.pid).children(recursive=True):
            if process.cmdline()[:1] == ["/usr/lib/systemd/systemd"]:
                return process.pid
        return 0

    def run(self, *command: str) -> str:
        inside = ["nsenter", "--target", str(self._leader), "--all", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False).stdout.strip()

    def is_up(self) -> bool:
        return self.run("systemctl", "is-active", "basic.target") == "active"

    def main_pid(self) -> str:
        return self.run("systemctl", "show", "--property=MainPID", "--value", "causeway-gateway")

    def end(self) -> None:
        self._boot.send_signal(signal.SIGTERM)
        try:
            self._boot.wait(20)
        except subprocess.TimeoutExpired:
            psutil.Process(self._leader).kill()
            self._boot.wait(10)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """With an enrolled gateway, whose console is away, and the unit that the deploy script writes for it."""
    if reason := missing():
        pytest.skip(reason)
    GatewayLab(tmp_path)
    program = tmp_path / "causeway"
    paths = f"{PLACE}/source:{PLACE}/packages"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 exec {PYTHON} -m edge.cli "$@"\n'
    )
    program.chmod(0o755)
    text = SCRIPT.read_text()
    start = text.index("write_unit() {")
    values = {"KIND": "gateway", "UNIT": "causeway-gateway", "SERVICE_USER": "daemon", "place": str(PLACE)}
    values |= {"home": f"{PLACE}/home", "causeway": f"{PLACE}/causeway"}
    values["UNIT_FILE"] = str(tmp_path / "causeway-gateway.service")
    lines = [f"{name}='{value}'" for name, value in values.items()]
    write = text[start : text.index("\n}\n", start) + 3]
    subprocess.run(["sh", "-euc", "\n".join([*lines, "systemctl() { :; }", write, "write_unit"])], check=True)
    made = Container(tmp_path)
    yield made
    made.end()


@pytest.mark.processes
@pytest.mark.timeout(180)
def test_the_service_runs_hardened_comes_back_and_leaves_nothing_running(container: Container) -> None:
    wait_until(container.is_up, 30, what="systemd's basic target")
    container.run("systemctl", "start", "causeway-gateway")
    envoy = wait_until(lambda: container.run("pgrep", "-x", "envoy"), 30, what="Envoy in the service")
    wait_until(lambda: "Envoy started" in log_of(container), 30, what="a live Envoy")
    agent = container.main_pid()
    status = container.run("cat", f"/proc/{agent}/status")
    assert re.search(r"^Uid:\s+1\s", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M), "system calls are filtered"

    container.run("kill", "-KILL", agent)
    wait_until(lambda: "Envoy adopted" in log_of(container), 30, what="the agent started again")
    assert container.run("pgrep", "-x", "envoy") == envoy, "open flows live on in the same Envoy"
    assert container.main_pid() not in ("0", agent)

    container.run("systemctl", "stop", "causeway-gateway")
    assert container.run("systemctl", "is-active", "causeway-gateway") == "inactive"
    assert container.run("pgrep", "-x", "envoy") == ""


def log_of(container: Container) -> str:
    return container.run("journalctl", "--unit=causeway-gateway", "--no-pager", "--output=cat")
