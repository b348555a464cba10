"""Configurations put in force: swap, cut what is no longer allowed, write down, confirm by the next poll."""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from edge import version
from edge.access.snapshot import Snapshot
from edge.gateway.cutting import Cutter
from edge.gateway.ends import FILE as ENDS
from edge.gateway.ends import Ends
from edge.gateway.life import EnvoyLife
from edge.gateway.reports import UNKNOWN_SECONDS
from edge.gateway.sessions import Sessions
from edge.gateway.state import GatewayState, Refusal
from edge.home import Home
from edge.machine import backoff
from edge.machine.api import ApiError, ApiRefused, ConsoleApi
from edge.machine.support import STATUS
from edge.protocol.codes import Code
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.message import MessageInvalid
from edge.protocol.reports import GatewayPoll, Unchanged

logger = logging.getLogger(__name__)

FILE = "snapshot.json"
WAIT_SECONDS = 25
FIRST_SECONDS, MOST_SECONDS = 0.4, 5.0
REMOVED = "This gateway was removed from its console, and carries nothing any more. Uninstall it, or enroll it again."


class ConfigurationRefused(Exception):
    """Refusal of a configuration; the one before stays in force. The text is a sentence."""


class Configuration:
    """Configuration of a gateway: asked for, put in force, written to disk.

    ``apply`` is the whole way of a newer one, from the console's answer to the flows that end. ``is_newest``: by the
    console's last word there is no newer one than that in force.
    """

    def __init__(
        self,
        home: Home,
        api: ConsoleApi,
        state: GatewayState,
        sessions: Sessions,
        cutter: Cutter,
        envoy: EnvoyLife,
    ) -> None:
        self._home, self._api, self._state, self._sessions = home, api, state, sessions
        self._cutter, self._envoy = cutter, envoy
        self.is_newest = False
        self._removed = False
        self._unsaved: dict[str, bytes] = {}  # contents of files that the disk did not take yet
        self._ends: Ends | None = None
        self._saving = asyncio.Lock()
        self._hindered = False
        self._lost = False

    def load(self) -> bool:
        """Put the configuration on disk in force; False when none there can be used."""
        self._tell((self._home.read_json(STATUS) or {}).get("problem", ""))
        try:
            data = self._home.file(FILE).read_bytes()
            modified = self._home.file(FILE).stat().st_mtime
            snapshot = self._checked(json.loads(data))
            ends = Ends.on_disk(self._home, snapshot)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, ConfigurationRefused) as error:
            logger.error("The configuration on disk cannot be used: %s", error)
            return False
        self._ends = ends
        self._state.adopt(snapshot.with_ended(ends.ended_sessions, ends.ends))
        self._state.heard_at = min(modified, self._state.clock())
        logger.info("Configuration %d is taken from disk.", snapshot.version)
        return True

    def _checked(self, document: Any) -> Snapshot:
        try:
            snapshot = Snapshot.compile(GatewayConfiguration.decode(document))
        except MessageInvalid as error:
            raise ConfigurationRefused(str(error)) from None
        if snapshot.gateway.id != self._home.identity.id:
            raise ConfigurationRefused(
                f"The configuration is for {snapshot.gateway.id}, not for this gateway."
            )
        return snapshot

    async def apply(self, document: Any) -> int:
        """Put a newer configuration in force, or one of another epoch; return how many flows were cut.

        Raises ConfigurationRefused.
        """
        started = time.monotonic()
        snapshot = await asyncio.to_thread(self._checked, document)
        if snapshot.edition.is_older_than(self._state.edition):
            message = (
                f"Version {snapshot.version} is older than {self._state.edition.version}, which is in force."
            )
            raise ConfigurationRefused(message)
        before = self._state.snapshot
        # From here to the list of flows to cut nothing waits: a flow is either decided by the new configuration, or in
        # the list, or looked at again when its stream opens.
        self._state.adopt(snapshot)
        told, self._ends = self._ends, Ends.none_since(snapshot)
        self._cutter.count = 0
        self._sessions.forget(snapshot.ended_sessions)
        if before is not None and set(before.session_keys) - set(snapshot.session_keys):
            self._sessions.forget_all()
            await self._cutter.end_sessions()
        else:
            await self._cutter.enforce()
        took = (time.monotonic() - started) * 1000
        logger.info(
            "Configuration %d is in force, %d flows are cut, after %.1f ms.",
            snapshot.version,
            self._cutter.count,
            took,
        )
        self._unsaved = {FILE: json.dumps(document).encode()}
        # What was told ahead is in the configuration: the file of it must not count at the next start.
        if told is not None and told.ended_sessions:
            self._unsaved[ENDS] = self._ends.file()
        await self.save()
        await self._envoy.follow()
        await self._enforce_when_settled()
        return self._cutter.count

    async def _enforce_when_settled(self) -> None:
        """Cut flows from before this agent began, which show up in the log within its interval, as well."""
        if await self._envoy.settled():
            await self._cutter.enforce()

    async def end_sessions(self, ended: Mapping[str, str], ends: str) -> None:
        """Let nobody in by sessions that ended, and cut their flows, ahead of the next configuration."""
        if self._ends is None or self._state.snapshot is None:
            return
        self._state.adopt(self._state.snapshot.with_ended(ended, ends))
        self._ends = self._ends.and_then(ended, ends)
        self._sessions.forget(ended)
        await self._cutter.enforce()
        logger.info("Sessions that ended are cut off: %d.", len(ended))
        self._unsaved[ENDS] = self._ends.file()
        await self.save()
        await self._enforce_when_settled()

    async def save(self) -> None:
        """Write the configuration in force to disk, unless done; a full disk takes it when there is room again."""
        async with self._saving:
            unsaved = dict(self._unsaved)
            if not unsaved:
                return
            try:
                for name, content in unsaved.items():
                    await asyncio.to_thread(self._home.write_atomic, name, content)
            except OSError as error:
                if not self._hindered:
                    logger.error(
                        "The configuration in force cannot be written down (%s). Make room on disk: an agent started "
                        "now would let nobody in before the console is heard.", error.strerror or error,
                    )  # fmt: skip
                self._hindered = True
                # The older file may know less of who was cut off: dated to 1970, the file lets nobody in.
                self._set_heard(0.0)
                return
            if self._hindered:
                logger.info("The configuration in force is written down again.")
            self._hindered = False
            self._unsaved = {
                name: content for name, content in self._unsaved.items() if content is not unsaved.get(name)
            }

    async def poll_forever(self) -> None:
        """Ask the console for configurations until cancelled; every answer is a sign of life of the console."""
        failures = 0
        while True:
            asked: float | None = None
            try:
                await self.poll()
                failures = 0
                continue
            except ApiError as error:
                asked = error.retry_after
                if isinstance(error, ApiRefused) and error.code == Code.MACHINE_UNKNOWN:
                    await self._leave()
                    asked = UNKNOWN_SECONDS
                else:
                    logger.warning("There is no configuration from the console: %s", error)
            except ConfigurationRefused as error:
                logger.error(
                    "The console's configuration is refused, and the one before stays in force: %s", error
                )
                asked = MOST_SECONDS
            except Exception:
                logger.exception("A configuration could not be put in force.")
                asked = MOST_SECONDS
            self.is_newest = False
            self._note_silence()
            failures += 1
            await asyncio.sleep(backoff.pause(failures, asked=asked, first=FIRST_SECONDS, most=MOST_SECONDS))

    async def poll(self) -> None:
        """Ask once, by a long poll that confirms the version in force."""
        wait = WAIT_SECONDS if self._state.snapshot else 0
        epoch, version = self._state.edition
        seal = self._state.snapshot.seal if self._state.snapshot else ""
        ends = self._state.snapshot.ends if self._state.snapshot else ""
        question = GatewayPoll(version, self._cutter.count, wait, epoch, seal, ends)
        answer = await self._api.document("gateway/config", question, timeout=wait + 10.0)
        self._state.heard_console()
        self._note_silence()
        self._removed = False
        self._tell("")
        if answer.get("unchanged") is True:
            self.is_newest = True
            await self._take_ends(answer)
            if not self._unsaved:
                self._set_heard(self._state.heard_at)
            if not self._state.snapshot:
                await asyncio.sleep(1)
            return
        await self.apply(answer)
        self.is_newest = True

    async def _take_ends(self, answer: Any) -> None:
        try:
            told = Unchanged.decode(answer)
        except MessageInvalid as error:
            raise ConfigurationRefused(str(error)) from None
        if told.ended_sessions or (self._state.snapshot and told.ends not in ("", self._state.snapshot.ends)):
            await self.end_sessions(told.ended_sessions, told.ends)

    def _note_silence(self) -> None:
        """Log when the console has been away for too long, whether or not somebody asks to be let in."""
        refusal = self._state.refusal()
        lost = refusal is not None and refusal.code == Code.CONSOLE_LOST
        if lost and not self._lost:
            logger.error(
                "The console was not heard for %d s, longer than this gateway may go on alone: nobody new is let in, "
                "open flows go on", self._state.clock() - self._state.heard_at,
            )  # fmt: skip
        elif self._lost and not lost:
            logger.info("The console is heard again, and users are let in.")
        self._lost = lost

    async def _leave(self) -> None:
        """End every flow of a removed gateway, and keep nothing by which a restarted agent would let anybody in.

        The gateway goes on asking, seldom: a console that was restored from an older copy may know the gateway again.
        """
        if self._removed:
            return
        self._removed = True
        logger.error(REMOVED)
        self._state.close(Refusal(Code.NOT_CONFIGURED, REMOVED))
        async with self._saving:
            self._unsaved, self._ends = {}, None
            for name in (FILE, ENDS):
                self._home.file(name).unlink(missing_ok=True)
        self._tell(REMOVED)
        await self._cutter.end_all()
        await self._envoy.stop()

    def _tell(self, problem: str) -> None:
        """Write for ``causeway status``, and for whoever watches an upgrade, what only this process knows."""
        with contextlib.suppress(OSError):  # a full disk is told by `causeway check`
            self._home.write_changed_json(STATUS, {"version": version(), "problem": problem})

    def _set_heard(self, moment: float) -> None:
        """Date the file by when the console was last heard, so that a restart does not prolong the grace."""
        try:
            os.utime(self._home.file(FILE), (moment, moment))
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("It cannot be written down when the console was heard: %s", error)
