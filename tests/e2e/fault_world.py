"""Demo on PostgreSQL in namespaces of its own, every part of which can be broken alone (tests/e2e/breaking.py).

Its network is a namespace; the disks of one gateway, one server, the console's log and the database are small ones of
their own. The demo's service manager is stopped once the demo is ready: from then on the test alone says what runs,
and with which environment.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from tests.demo import ROOT, Demo, clean_environment, is_alive, start_demo, stop_demo, wait_until
from tests.ports import free_port
from tests.postgres import OPTIONS, PostgresUnavailable, _unprivileged, find_binaries

PARTS = ("console", "database", "gateway agent", "gateway Envoy", "server agent", "server Envoy")
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
DISK_MIB = {"log": 32, "machine-gateway-shanghai": 32, "machine-server-1": 32}
DATABASE_MIB = 320
DISKS = {
    "console": "log", "gateway agent": "machine-gateway-shanghai",
    "gateway Envoy": "machine-gateway-shanghai", "server agent": "machine-server-1", "server Envoy": "machine-server-1",
}  # fmt: skip
# Groups by which the packet filter tells callers apart; all processes belong to root.
GROUPS = {"gateway": 4201, "server": 4202}
ENDED_SECONDS = 20.0
READY_SECONDS = 300.0


PACKAGES = {
    "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "ip": "iproute2", "nft": "nftables",
}  # fmt: skip


def missing() -> str:
    """Say in a sentence why this world cannot be had here; empty when it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return (
            "Run this on Linux as root: the world it breaks has namespaces of its own for network and disks."
        )
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            return f"The program {program} is missing; Debian's package {package} brings it."
    try:
        find_binaries()
    except PostgresUnavailable as problem:
        return f"PostgreSQL is missing: {problem} Debian's package postgresql brings it."
    trial = ["unshare", "--net", "--mount", "nft", "list", "ruleset"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no word"])[0]
        return f"This kernel or container does not let root make namespaces with a packet filter ({reason})."
    return ""


@dataclass
class Program:
    """Program under the test's hand: how to start the program, and its present process."""

    name: str
    within: list[str]
    command: list[str]
    environment: dict[str, str]
    log: Path
    pid: int = 0
    children: bool = False
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def alive(self) -> list[psutil.Process]:
        """Return the program's processes, the main process first."""
        try:
            main = psutil.Process(self.pid)
            family = [main, *(main.children(recursive=True) if self.children else [])]
        except psutil.NoSuchProcess:
            return []
        return [process for process in family if is_alive(process)]

    def start(self, extra: Mapping[str, str] = {}) -> None:
        # The variables are for the program alone, not for the commands before it.
        variables = ["env", *(f"{name}={value}" for name, value in extra.items())]
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [*self.within, *variables, *self.command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        self.pid = child.pid

    def reap(self) -> None:
        """Wait for processes that were started here and have ended, or are about to."""
        for child in self._children:
            child.wait(ENDED_SECONDS)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End the program; return when the main process and all of its family are gone."""
        family = self.alive()
        for process in family[:1]:
            process.send_signal(number)
        wait_until(lambda: not any(map(is_alive, family)), ENDED_SECONDS, what=f"the end of {self.name}")
        for child in self._children:
            child.poll()


class World:
    """World of a demo and its parts, made by `world`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        # Outside of the home: PostgreSQL does not run as root, and its user must be able to read the folder.
        self.database_folder = Path(tempfile.mkdtemp(prefix="causeway-faults-", dir="/tmp"))
        sizes = {home / name: size for name, size in DISK_MIB.items()} | {self.database_folder: DATABASE_MIB}
        mounts = [f"mkdir -p {path} && mount -t tmpfs -o size={size}m,mode=755 disk {path}"
                  for path, size in sizes.items()]  # fmt: skip
        # The process ends with its standard input, and the namespaces and disks end with the process.
        script = " && ".join(["ip link set lo up", *mounts, "echo made", "cat"])
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"made\n":
            raise RuntimeError("the namespaces could not be made")
        self._own_network = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.programs: dict[str, Program] = {}
        self.database_port = free_port()

    # -- From nothing to a demo whose manager sleeps --

    def within(self, group: int = 0) -> list[str]:
        """Return the words before a command that is to run in this world."""
        entered = ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", "env", "-C", str(ROOT)]
        return [*entered, "setpriv", "--regid", str(group), "--keep-groups"] if group else entered

    def enter(self) -> None:
        """Enter the world's network, to which this thread's sockets belong from now on."""
        _set_network(f"/proc/{self._holder.pid}/ns/net")

    def leave(self) -> None:
        _set_network(f"/proc/self/fd/{self._own_network}")

    def disk(self, name: str) -> Path:
        """Return the path of a folder of the home that is a disk of its own in the world."""
        return self.seen(self.home / name)

    def seen(self, path: Path) -> Path:
        """Return the path by which this process reaches a path of the world."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def start(self) -> None:
        self._start_database()
        url = f"postgres://causeway@127.0.0.1:{self.database_port}/postgres"
        # Beside the tests of another demo, and on a durable PostgreSQL, the start takes long on a small machine.
        self._process, output = start_demo(
            self.home, within=self.within(), environment={"DATABASE_URL": url}, seconds=READY_SECONDS
        )
        self.demo = Demo(self.home, self._process, output)
        self._process.send_signal(signal.SIGSTOP)
        for name, pid in self.demo.world["processes"].items():
            process = psutil.Process(pid)
            if name == "traffic":
                process.kill()
            elif name != "applications":
                group = next((GROUPS[kind] for kind in GROUPS if name.startswith(kind)), 0)
                log, within = self.home / f"{name}.log", self.within(group)
                program = Program(name, within, process.cmdline(), process.environ(), log, pid)
                program.children = name == "console"
                self.programs[name] = program
        for name in self.programs:
            if name.startswith(tuple(GROUPS)):  # the group by which the packet filter knows the program
                self.programs[name].end(signal.SIGTERM)
                self.programs[name].start()

    def _start_database(self) -> None:
        who = _unprivileged()
        data, binaries = self.database_folder / "data", find_binaries()
        folder = self.seen(self.database_folder)
        os.chown(folder, who["user"], who["group"])
        within = [*self.within(), "setpriv", "--clear-groups"]
        within += [f"--reuid={who['user']}", f"--regid={who['group']}"]
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "causeway", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*within, *initdb, "--locale=C", "--no-sync"], check=True, capture_output=True)
        options = OPTIONS | {"listen_addresses": "127.0.0.1", "port": str(self.database_port)}
        options |= {"max_wal_size": "64MB", "min_wal_size": "32MB", "log_min_messages": "warning"}
        # A commit that was acknowledged is on the disk; whether that is a real one matters not here.
        options |= {"synchronous_commit": "on", "unix_socket_directories": str(self.database_folder)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), *settings]
        log = self.home / "postgres.log"
        self.programs["database"] = Program(
            "database", within, command, clean_environment(), log, children=True
        )
        self.programs["database"].start()
        wait_until(self.database_answers, 30, what="PostgreSQL")

    def database_answers(self) -> bool:
        ready = [str(find_binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.database_port)]
        return subprocess.run([*self.within(), *ready], check=False).returncode == 0

    def _database(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL's on this world's database."""
        where = ["-h", "127.0.0.1", "-p", str(self.database_port), "-U", "causeway", "-d", "postgres"]
        command = [*self.within(), str(find_binaries() / program), *where, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def back_up(self) -> Path:
        """A copy of the database as it is now."""
        file = self.home / "yesterday.dump"
        self._database("pg_dump", "--format=custom", f"--file={file}")
        return file

    def restore(self, file: Path) -> None:
        """What the documentation says: nobody uses the database meanwhile; then it is as it was."""
        for name in ("worker", "console"):
            self.programs[name].end()
        self._database(
            "psql", "-v", "ON_ERROR_STOP=1", "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        )
        self._database("pg_restore", "--no-owner", "--exit-on-error", str(file))
        for name in ("console", "worker"):
            self.programs[name].start()

    def close(self) -> None:
        """End everything, and leave nothing behind."""
        self.leave()
        for name, program in self.programs.items():
            for process in program.alive() if name != "database" else []:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGCONT)
        with contextlib.suppress(AttributeError):
            self._process.send_signal(signal.SIGCONT)
            stop_demo(self._process, self.home)
        for process in self.programs["database"].alive() if "database" in self.programs else []:
            with contextlib.suppress(psutil.Error):
                process.kill()
        for program in self.programs.values():
            program.reap()
        for stream in (self._holder.stdin, self._holder.stdout):
            assert stream is not None
            stream.close()
        self._holder.wait(10)
        os.close(self._own_network)
        self.database_folder.rmdir()

    # -- Who is who --

    @cached_property
    def gateway(self) -> str:
        return str(self.demo.gateway()["id"])

    @cached_property
    def server(self) -> str:
        identity = json.loads((self.disk("machine-server-1") / "identity.json").read_text())
        return str(identity["id"])

    def program(self, part: str) -> Program:
        """Return the program of a part; of an Envoy, the agent that starts Envoy."""
        names = {"gateway": self.gateway, "server": self.server}
        return self.programs[names.get(part.split(maxsplit=1)[0], part)]

    def processes(self, part: str) -> list[psutil.Process]:
        if not part.endswith("Envoy"):
            return self.program(part).alive()
        try:
            record = json.loads((self.disk(DISKS[part]) / "envoy" / "envoy.pid").read_text())
            process = psutil.Process(record["pid"])
        except (OSError, ValueError, psutil.Error):
            return []
        return [process] if is_alive(process) else []

    def dead(self) -> list[str]:
        """Return the programs that do not run."""
        return [name for name, program in self.programs.items() if not program.alive()]

    def unrecorded(self) -> list[str]:
        """Return the Envoys that no next agent could adopt, and no fault could find."""
        return [part for part in DISKS if part.endswith("Envoy") and not self.processes(part)]

    # -- What the console knows --

    def without_tunnels(self) -> list[str]:
        """Return the servers by which no flow goes: the gateway counted no tunnel of theirs since its Envoy began."""
        began = max((process.create_time() for process in self.processes("gateway Envoy")), default=0.0)
        found = self.rows(
            "SELECT id FROM connectors_server AS server WHERE NOT EXISTS (SELECT 1 FROM connectors_tunnel WHERE"
            " server_id = server.id AND gateway_id = %s AND count > 0 AND seen_at > to_timestamp(%s))",
            self.gateway,
            began,
        )
        return [server for (server,) in found]

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg

        where = f"host=127.0.0.1 port={self.database_port} user=causeway dbname=postgres connect_timeout=30"
        with psycopg.connect(where) as connection:
            return connection.execute(sql, values).fetchall()


def _set_network(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def world(home: Path) -> Iterator[World]:
    made = World(home)
    try:
        made.start()
        made.enter()
        yield made
    finally:
        made.close()
