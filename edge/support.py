"""What an operator does by hand on a gateway or server: pack the logs, take it away. And one agent a folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import platform
import shutil
import signal
import tarfile
from collections.abc import Iterator

import psutil

from edge import version
from edge.enrollment import CERTIFICATES, CONFIGURATION
from edge.envoy.process import EnvoyProcess
from edge.home import Home

LOCK = "agent.lock"
STATUS = "status.json"
STOP_SECONDS = 15.0
LOGS = (
    "agent.log",
    "envoy/envoy.log",
    "envoy/envoy.log.1",
    "envoy/routes.json",
    "envoy/clusters.json",
    "envoy/listeners.json",
    "envoy/dialling.json",
    STATUS,
)


class AlreadyRunning(Exception):
    """Another agent works in this folder. The message is a sentence."""

    exit_code = 3  # by which a supervisor knows that trying again is of no use


@contextlib.contextmanager
def held(home: Home) -> Iterator[None]:
    """Be the one agent of a folder. Raises `AlreadyRunning`; the system lets go of the lock however we end."""
    descriptor = os.open(home.file(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"It is running already in {home.path}, as process {agent_pid(home)}."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def agent_pid(home: Home) -> int | None:
    """Return the process id of the agent that works in a folder, or None when there is none."""
    try:
        with home.file(LOCK).open("rb") as lock:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            return int(lock.read() or 0) or None
    except (OSError, ValueError):
        return None


def export_logs(home: Home) -> bytes:
    """Return a tar.gz with logs, configuration and versions; never a key. Raises `edge.home.NotEnrolled`, OSError."""
    identity = home.identity
    facts = {
        "id": identity.id,
        "version": version(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "console": identity.console,
    }
    certificates = [f"pki/{name}.pem" for name in (*CERTIFICATES[identity.kind], "ca")]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", dereference=True) as tar:
        for name in [*LOGS, CONFIGURATION[identity.kind], *certificates]:
            if home.file(name).is_file():
                tar.add(home.file(name), arcname=f"{identity.id}/{name}")
        data = json.dumps(facts, indent=1).encode()
        entry = tarfile.TarInfo(f"{identity.id}/facts.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


async def uninstall(home: Home) -> None:
    """End the agent and Envoy, and remove the folder's keys, certificates, configuration and unsent records."""
    await _end_agent(home)
    await EnvoyProcess(home.file("envoy")).end_all()
    for name in ("pki", "envoy"):
        shutil.rmtree(home.file(name), ignore_errors=True)
    for pattern in ("telemetry.*", "flows.sqlite3*", "agent.log*", "metrics.prom*"):
        for file in home.path.glob(pattern):
            file.unlink()
    for name in (*CONFIGURATION.values(), "identity.json", STATUS, LOCK):
        home.file(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.path.rmdir()  # only when nothing else is in it


async def _end_agent(home: Home) -> None:
    """Ask the agent to leave, and make it leave when it does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        if (pid := agent_pid(home)) is None or not psutil.pid_exists(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while agent_pid(home) is not None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.1)
