"""A machine that upgrades itself because its console says so: fetch, install beside, switch, watch, go back.

Every version has a folder of its own in ``versions/``, and the link ``program`` names the one in use, as the deployment
script lays them out. The agent that runs installs the other version and writes down what it is about to do
(``upgrade.json``); then it starts a watcher out of its own version, moves the link and becomes the new version. The
watcher (`edge.machine.upgrade_watch`) decides: healthy, or back. Whichever agent runs afterwards tells the console.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from edge import version
from edge.errors import EdgeError
from edge.home import Home
from edge.machine.api import REMEDY, ApiError, ApiRefused, Caller
from edge.machine.status import report
from edge.outbound.errors import OutboundError
from edge.outbound.http import client, failure
from edge.outbound.trust import bundle
from edge.protocol.configuration import UpgradeOrder
from edge.protocol.reports import Nothing, UpgradeState, UpgradeWord

logger = logging.getLogger(__name__)

RECORD = "upgrade.json"
# While it is there, a supervisor starts again also what ended in good order.
MARK = "upgrading"
LOCK = "upgrade.lock"
LOG = "upgrade.log"
# Set by whoever starts the agent again when it ends: the service's unit, the deployment script.
SUPERVISED = "CAUSEWAY_SUPERVISED"
NEEDED_MIB = 500
LARGEST_WHEEL = 200 * 2**20
INSTALL_SECONDS = 600.0
LOOK_SECONDS = 2.0
OVER = ("healthy", "failed", "rolled_back")


class UpgradeError(EdgeError):
    """This machine cannot install the version. The message is a sentence for the operator."""


def harmless(order: UpgradeOrder | None) -> UpgradeOrder | None:
    """Return the order; None without one, and for one that could name other files than it should."""
    if order is None:
        return None
    plain = Path(order.wheel).name == order.wheel and order.wheel.endswith(".whl")
    return order if plain and re.fullmatch("[0-9a-f]{64}", order.sha256) else None


@dataclass
class Record:
    """``upgrade.json``. ``before``: the folder of the version before; ``reds``: lights that were red before."""

    order: str
    version: str
    state: UpgradeState
    message: str = ""
    before: str = ""
    version_before: str = ""
    reds: list[str] = field(default_factory=list)
    health_seconds: float = 0.0
    told: bool = False

    @classmethod
    def read(cls, home: Home) -> Record | None:
        try:
            return cls(**(home.read_json(RECORD) or {}))
        except TypeError:
            return None

    def write(self, home: Home, state: UpgradeState, message: str = "") -> None:
        """Note a new state, which the console has not been told yet."""
        self.state, self.message, self.told = state, message, False
        home.write_json(RECORD, asdict(self))


class Place:
    """Where the versions lie, told by where one of them lies (``sys.prefix``)."""

    def __init__(self, prefix: Path) -> None:
        self.mine = prefix.resolve()
        self.versions = self.mine.parent
        self.program = self.versions.parent / "program"

    @classmethod
    def in_use(cls) -> Place:
        """Find where this program lies. Raise `UpgradeError` unless the deployment script put the program there."""
        place = cls(Path(sys.prefix))
        if place.versions.name != "versions" or place.program.resolve() != place.mine:
            raise UpgradeError(
                "This program was not installed by the deployment command, so it cannot upgrade itself."
            )
        return place

    def folder(self, order: UpgradeOrder) -> Path:
        return self.versions / order.sha256[:16]

    def use(self, folder: Path) -> None:
        """Make the link name another version, by one rename."""
        following = self.program.with_name("program.next")
        following.unlink(missing_ok=True)
        following.symlink_to(folder)
        following.replace(self.program)

    def remove_others(self) -> None:
        """Keep the version in use and nothing else."""
        used = self.program.resolve()
        for folder in self.versions.iterdir():
            if folder.is_dir() and folder.resolve() != used:
                shutil.rmtree(folder, ignore_errors=True)


class Upgrader:
    """The part of the agent that follows the console's orders. `switch` ends the agent, to become the new version.

    `current` gives the console's order, None while the newest word of the console is not known.
    """

    def __init__(
        self,
        home: Home,
        api: Caller,
        *,
        current: Callable[[], UpgradeOrder | None],
        switch: Callable[[], None],
    ) -> None:
        self._home = home
        self._api = api
        self._current = current
        self._switch = switch
        self.successor: Path | None = None

    async def run(self) -> None:
        """Follow orders until cancelled."""
        while True:
            pause = LOOK_SECONDS
            try:
                await self.step()
            except ApiError as error:
                logger.warning("The console could not be told of the upgrade: %s", error)
                pause *= 3
            except OSError as error:
                logger.warning("The upgrade waits: %s", error)
            await asyncio.sleep(pause)

    async def step(self) -> None:
        """Tell what is not told yet, have watched what nobody watches, begin what was ordered anew."""
        record = Record.read(self._home)
        if record is not None and record.state in OVER and not record.told:
            await self._tell(record)
        if record is not None and record.state == "restarting":
            start_watcher(self._home)  # does nothing while one is at work
            return
        order = harmless(self._current())
        interrupted = record is not None and record.state == "installing"
        if order is not None and (record is None or record.order != order.order or interrupted):
            await self._follow(order)

    async def _tell(self, record: Record) -> None:
        word = UpgradeWord(record.order, record.state, record.message[:2000])
        try:
            await self._api.call(f"{self._home.identity.kind}/upgrade", word, Nothing)
        except ApiRefused as error:
            if error.status not in (400, 404, 422):
                raise
            logger.warning("The console does not take the word on the upgrade: %s", error)
        record.told = True
        self._home.write_json(RECORD, asdict(record))
        if record.state in OVER:
            logger.info("The upgrade to %s: %s. %s", record.version, record.state, record.message)
            await asyncio.to_thread(_clean)

    async def _follow(self, order: UpgradeOrder) -> None:
        """Install what was ordered, and become it."""
        record = Record(order.order, order.version, "installing", health_seconds=order.health_seconds)
        record.write(self._home, "installing")
        logger.info("The console wants version %s; this is %s.", order.version, version())
        with contextlib.suppress(ApiError):  # that it is at work is good to know, no more
            await self._tell(record)
        try:
            place = Place.in_use()
            await self._install(place, order)
            lights = (await report(self._home)).lights
        except (UpgradeError, OSError) as error:
            sentence = (
                str(error)
                if isinstance(error, UpgradeError)
                else f"The new version could not be installed: {error}."
            )
            record.write(self._home, "failed", f"{sentence} Nothing was changed.")
            return
        record.before, record.version_before = str(place.mine), version()
        record.reds = [light.name for light in lights if light.color == "red"]
        record.write(self._home, "restarting")
        with contextlib.suppress(ApiError):
            await self._tell(record)
        self._home.write_atomic(MARK, b"")
        start_watcher(self._home)
        place.use(place.folder(order))
        logger.info("Going on as version %s.", order.version)
        self.successor = place.program / "bin" / "causeway"
        self._switch()

    async def _install(self, place: Place, order: UpgradeOrder) -> None:
        """Leave the version in a folder of its own; nothing uses it yet."""
        if os.environ.get(SUPERVISED) != "yes":
            raise UpgradeError(
                "Nobody would start this agent again if the new version failed: run it by its service or by the "
                "deployment command."
            )
        folder = place.folder(order)
        if folder == place.mine:
            raise UpgradeError(
                f"The console's wheel of {order.version} is what runs already, as {version()}."
            )
        if (folder / "complete").exists():
            return
        free = shutil.disk_usage(place.versions).free // 2**20
        if free < NEEDED_MIB:
            raise UpgradeError(f"{place.versions} has {free} MiB free; {NEEDED_MIB} are needed.")
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        wheel = place.versions / f".{order.sha256[:16]}" / order.wheel
        wheel.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            await self._fetch(order, wheel)
            await _run(sys.executable, "-m", "venv", str(folder))
            pip = (str(folder / "bin" / "python"), "-m", "pip")
            options = ("--quiet", "--no-cache-dir", "--disable-pip-version-check")
            await _run(*pip, "install", *options, str(wheel), env=await _trusted_by_pip(*pip))
            said = await _run(str(folder / "bin" / "causeway"), "--version")
            if said.split()[-1:] != [order.version]:
                raise UpgradeError(f"What was installed calls itself “{said.strip()}”, not {order.version}.")
            (folder / "complete").touch()
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(wheel.parent, ignore_errors=True)

    async def _fetch(self, order: UpgradeOrder, target: Path) -> None:
        """Download the wheel as the deployment script does; take it only with the digest that the order names."""
        url = f"{self._home.identity.console}/deploy/{order.wheel}"
        digest, size = hashlib.sha256(), 0
        try:
            caller = client(url, ca=self._home.console_ca, timeout=30.0)
            async with caller, caller.stream("GET", url) as answer:
                answer.raise_for_status()
                with target.open("wb") as file:
                    async for piece in answer.aiter_bytes(2**16):
                        size += len(piece)
                        if size > LARGEST_WHEEL:
                            raise UpgradeError(f"{order.wheel} is larger than {LARGEST_WHEEL // 2**20} MiB.")
                        digest.update(piece)
                        file.write(piece)
        except (httpx.HTTPError, OutboundError) as error:
            lead = f"{order.wheel} could not be fetched"
            raise UpgradeError(await failure(error, url, lead=lead, remedy=REMEDY)) from error
        if digest.hexdigest() != order.sha256:
            raise UpgradeError(f"The checksum of {order.wheel} is wrong: {digest.hexdigest()}.")


def _clean() -> None:
    with contextlib.suppress(UpgradeError, OSError):
        Place.in_use().remove_others()


async def _trusted_by_pip(*pip: str) -> dict[str, str]:
    """Return the environment for pip: an older one has a list of CAs of its own in place of the system's store."""
    store = bundle()
    configured = "PIP_CERT" in os.environ or "cert=" in await _run(*pip, "config", "list")
    return dict(os.environ) if configured or not store else os.environ | {"PIP_CERT": store}


async def _run(*command: str, env: dict[str, str] | None = None) -> str:
    """Run a command, return its output. Raise `UpgradeError` with the last words of one that fails or does not end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except BaseException as error:
        process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise UpgradeError(
                f"{Path(command[0]).name} did not end within {INSTALL_SECONDS:.0f} s."
            ) from None
        raise
    text = output.decode(errors="replace").strip()
    if process.returncode:
        last = (text.splitlines() or ["no word"])[-1][:300]
        what = (
            "The packages could not be installed" if "pip" in command else f"{' '.join(command[:3])} failed"
        )
        raise UpgradeError(f"{what}: {last}")
    return text


def start_watcher(home: Home) -> None:
    """Have an upgrade watched by a process in a session of its own, unless one is at it already.

    It inherits the lock by which that is told, so that there is no moment without.
    """
    lock = os.open(home.file(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    log = os.open(home.file(LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Out of this version, which is known to work.
        subprocess.Popen(
            [sys.executable, "-m", "edge.machine.upgrade_watch", str(home.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )
    except BlockingIOError:
        return
    finally:
        os.close(lock)
        os.close(log)
