"""Agent of a folder, of which there is one: held, found, ended, taken away. And the log that the agent keeps."""

import asyncio
import contextlib
import fcntl
import logging
import logging.handlers
import os
import shutil
import signal
from collections.abc import Iterator

import psutil

from edge.envoy import halfclose
from edge.envoy.process import EnvoyProcess
from edge.errors import EdgeError
from edge.home import CONSOLE_CA, REFUSED, Home
from edge.machine.enrollment import CONFIGURATION

logger = logging.getLogger(__name__)

LOCK = "agent.lock"
STATUS = "status.json"
MODULE = "module.json"
STOP_SECONDS = 15.0
LOG_BYTES = 2 * 2**20
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class AlreadyRunning(EdgeError):
    """Another agent works in this folder. The message is a sentence."""

    exit_code = 3  # exit code by which a supervisor knows that trying again is of no use


@contextlib.contextmanager
def held(home: Home) -> Iterator[None]:
    """Be the one agent of a folder. Raises `AlreadyRunning`; the lock ends with the process, however that ends."""
    descriptor = os.open(home.file(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"An agent is running already in {home.path}, as process {agent_pid(home)}."
            ) from None
        try:
            # Write over the former id, which takes no room of a full disk.
            os.pwrite(descriptor, f"{os.getpid():<20}".encode(), 0)
        except OSError as error:
            logger.warning(
                "The agent's process id cannot be written down, so no command finds the agent: %s.", error
            )
        yield
    finally:
        os.close(descriptor)


async def ask_for_module(home: Home) -> None:
    """Find out whether Envoy works with the module for byte-exact ends; note for ``causeway status`` if it does not."""
    reason = await asyncio.to_thread(halfclose.hindrance)
    without = f"{reason} {halfclose.CONSEQUENCE}" if reason else ""
    if without:
        logger.warning(without)
    with contextlib.suppress(OSError):  # `causeway check` tells of a full disk
        home.write_json(MODULE, {"without": without})


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


def keep_log(home: Home) -> None:
    """Write what the agent logs to ``agent.log`` as well, for those who ask for its logs from afar."""
    logging.raiseExceptions = False  # a full disk must not end up as a page of errors for every line
    with contextlib.suppress(OSError):
        handler = logging.handlers.RotatingFileHandler(
            home.file("agent.log"), maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        logging.getLogger().addHandler(handler)


async def uninstall(home: Home) -> None:
    """End the agent and Envoy, and remove the folder's keys, certificates, configuration and unsent records."""
    await end_agent(home)
    await EnvoyProcess(home.file("envoy")).end_all()
    for name in ("pki", "envoy"):
        shutil.rmtree(home.file(name), ignore_errors=True)
    for pattern in ("telemetry.*", "flows.sqlite3*", "agent.log*", "upgrade.*", "metrics.prom*"):
        for file in home.path.glob(pattern):
            file.unlink()
    own = ("identity.json", CONSOLE_CA, STATUS, MODULE, LOCK, REFUSED, "journal.log", "upgrading")
    for name in (*CONFIGURATION.values(), *own):
        home.file(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.path.rmdir()  # only an empty folder goes


def disown(home: Home, reason: str) -> None:
    """Give up the identity of a folder that is a copy, and write down why; unsent records are those of another machine.

    What is left lets the deploy command enroll the machine anew: ``pki`` shows it that the folder is a machine's.
    """
    shutil.rmtree(home.file("pki"), ignore_errors=True)
    home.file("pki").mkdir(mode=0o700, exist_ok=True)
    for pattern in ("telemetry.*", "flows.sqlite3*", "upgrade.*"):
        for file in home.path.glob(pattern):
            file.unlink()
    for name in (*CONFIGURATION.values(), "identity.json", STATUS, "upgrading"):
        home.file(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a full disk: the log has the reason as well
        home.write_json(REFUSED, {"message": reason})


async def end_agent(home: Home) -> None:
    """Ask the agent to end, and kill an agent that does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        if (pid := agent_pid(home)) is None or not psutil.pid_exists(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while agent_pid(home) is not None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.1)
