"""Container with systemd as process 1, and the machine that the Deploy panel's commands make of the container.

The root is a layer over this machine's: what is written in it is gone at the end.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.demo import Demo, wait_until
from tests.e2e.deployed import INSTALL_SECONDS, Deployed
from tests.running import ran

SYSTEMD = Path("/usr/lib/systemd/systemd")
# $1: a folder for the layer; $2: what lies in it before systemd starts; $3: the root below the layer; then options of
# systemd-nspawn.
BOOT = """
layer=$1 files=$2 below=$3
shift 3
mount -t tmpfs none "$layer" && mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=$below,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
rm -f "$layer/root/.dockerenv"
tar -C "$files" -c . | tar -C "$layer/root" -x --no-overwrite-dir --numeric-owner
exec systemd-nspawn -D "$layer/root" --register=no --keep-unit --boot --console=pipe "$@" systemd.unit=basic.target
"""
CLONE_NEWNET = 0x40000000
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
# Rights of a service by its kind. A gateway may take ports below 1024 (CAP_NET_BIND_SERVICE), nothing else.
HELD = {"root": False, "gains privileges": False, "calls are filtered": True}
CONFINED = {"connector": HELD | {"capabilities": {0}}, "gateway": HELD | {"capabilities": {1 << 10}}}
# Files that adding and removing a user changes.
ACCOUNTS = ("passwd", "group", "shadow", "gshadow")


def missing() -> str:
    """Return why there can be no such container here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root, to boot a systemd in a container"
    for program, package in (
        ("systemd-nspawn", "systemd-container"),
        ("unshare", "util-linux"),
        ("tar", "tar"),
    ):
        if shutil.which(program) is None:
            return f"needs {program} (Debian: {package})"
    if not SYSTEMD.exists():
        return f"needs {SYSTEMD} (Debian: systemd)"
    try_out = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/tmp"]
    if subprocess.run(try_out, capture_output=True, check=False).returncode:
        return "needs to mount, which this container does not allow (Docker: --privileged)"
    return ""


class Container:
    """Container with a running systemd. ``files``: a folder like a root, laid over this machine's.

    ``folders``: folders of this machine that are seen inside under other names (name → folder), read-only.
    ``network``: the container shares this machine's network, and else has none. ``below``: another root than this
    machine's.
    """

    def __init__(
        self,
        folder: Path,
        files: Path,
        folders: dict[str, Path],
        *,
        network: bool = False,
        below: Path = Path("/"),
    ) -> None:
        self._layer = folder / "layer"
        self._layer.mkdir()
        self.boot_log = folder / "boot.log"
        options = [] if network else ["--private-network"]
        options += [f"--bind-ro={outside}:{inside}" for inside, outside in folders.items()]
        script = ["sh", "-euc", BOOT, "boot", str(self._layer), str(files), str(below), *options]
        with self.boot_log.open("wb") as log:
            self._boot = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", *script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._leader = wait_until(self._find_leader, 30, what="systemd as process 1")
            wait_until(
                lambda: self.say("systemctl", "is-active", "basic.target") == "active", 30, what="systemd"
            )
        except BaseException:
            self.end()
            raise

    def _find_leader(self) -> int:
        assert self._boot.poll() is None, self.boot_log.read_text()
        for process in psutil.Process(self._boot.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # a container that came up has ended again
                if process.cmdline()[:1] == [str(SYSTEMD)]:
                    return process.pid
        return 0

    def path(self, inside: str) -> Path:
        """Return the path of a file of the container, as seen from outside."""
        return Path(f"/proc/{self._leader}/root{inside}")

    def written(self) -> list[Path]:
        """Return every file and folder that is not as on this machine, seen from the root of the layer."""
        upper = Path(f"/proc/{self._boot.pid}/root{self._layer}/upper")
        return [path.relative_to(upper) for path in upper.rglob("*")]

    def run(self, *command: str, timeout: float = 60, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside, by root, with an environment as after booting. ``said``: what it is typed."""
        within = ("nsenter", "--target", str(self._leader), "--all")
        # A session of its own has no terminal: what a program asks for is read from standard input.
        return ran(*within, *command, env=ENVIRONMENT, input=said, seconds=timeout, start_new_session=True)

    def connect(self, other: "Container", own: str, others: str) -> None:
        """Lay a cable between two containers. ``own``, ``others``: their addresses, such as ``10.66.0.1/24``."""
        end = ["type", "veth", "peer", "name", "cable", "netns", str(other._leader)]
        self._ip("link", "add", "cable", *end)
        for container, address in ((self, own), (other, others)):
            container._ip("address", "add", address, "dev", "cable")
            container._ip("link", "set", "cable", "up")

    def _ip(self, *words: str) -> None:
        done = ran("nsenter", "--target", str(self._leader), "--net", "ip", *words)
        assert done.returncode == 0, done.stderr

    def enter_network(self) -> None:
        """Take this thread into the container's network, for as long as the thread lives."""
        with Path(f"/proc/{self._leader}/ns/net").open() as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the network cannot be entered")

    def say(self, *command: str) -> str:
        """Return what a command prints."""
        return self.run(*command).stdout.strip()

    def log_of(self, unit: str) -> str:
        return self.say("journalctl", f"--unit={unit}", "--no-pager", "--output=cat")

    def main_pid(self, unit: str) -> str:
        """Return the process id of a service as inside; ``0``: the service does not run."""
        return self.say("systemctl", "show", "--property=MainPID", "--value", unit)

    def end(self) -> None:
        leader = getattr(self, "_leader", 0)
        self._boot.send_signal(signal.SIGTERM)
        try:
            self._boot.wait(20)
        except subprocess.TimeoutExpired:
            psutil.Process(leader or self._boot.pid).kill()
            self._boot.wait(10)


class BootedMachine(Deployed):
    """Machine that the panel's commands make of such a container, with a user and a service."""

    def __init__(self, demo: Demo, container: Container, kind: str) -> None:
        self.demo, self.container, self.kind = demo, container, kind
        self.unit = f"causeway-{kind}"
        self.named_home, self.named_place = f"/var/lib/causeway/{kind}", f"/opt/causeway/{kind}"
        self.home, self.place = container.path(self.named_home), container.path(self.named_place)
        self.user = "runuser -u causeway --"
        self.work = container.path(f"/srv/{kind}")
        self.work.mkdir(exist_ok=True)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return self.container.run("sh", "-c", f"cd /srv/{self.kind} && {command}", timeout=INSTALL_SECONDS)

    def envoy(self) -> str:
        return self.container.say("pgrep", "-x", "envoy")

    def accounts(self) -> list[str]:
        """Return the lines about the service's user."""
        lines = [
            line for name in ACCOUNTS for line in self.container.path(f"/etc/{name}").read_text().split()
        ]
        return [line for line in lines if "causeway" in line]

    def left(self) -> list[str]:
        """Return everything of the script that is there or runs; archives belong to their owner."""
        container = self.container
        units = container.say("systemctl", "list-units", "--all", "--plain", "--no-legend", "causeway-*")
        # systemd keeps the name of a removed unit until its next collection.
        known = [unit for unit in units.splitlines() if " not-found inactive dead" not in unit]
        processes = container.say("pgrep", "--full", "--list-full", "causeway|envoy")
        written = [str(path) for path in container.written() if path.parts[0] != "srv"]
        files = [path for path in written if "causeway" in path]
        return [*files, *self.accounts(), *known, *processes.splitlines()]


@contextmanager
def booted_machine(demo: Demo, container: Container, kind: str) -> Iterator[BootedMachine]:
    """Make a machine, and take away what is left of the machine in the end."""
    made = BootedMachine(demo, container, kind)
    try:
        yield made
    finally:
        if made.place.exists():
            made.run(made.script("--uninstall"))


def confinement(container: Container, unit: str) -> dict[str, object]:
    """Return the kernel's words on a service's main process, by the names of `CONFINED`."""
    status = container.say("cat", f"/proc/{container.main_pid(unit)}/status")
    found = dict(re.findall(r"^(\w+):\s+(\S+)", status, re.M))
    capabilities = {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")}
    return {
        "root": found["Uid"] == "0",
        "gains privileges": found["NoNewPrivs"] != "1",
        "calls are filtered": found["Seccomp"] == "2",
        "capabilities": capabilities,
    }
