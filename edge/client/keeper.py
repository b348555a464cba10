"""Keeping of a session: renew its token, notice its end within seconds, tell what a gateway refuses."""

import asyncio
import contextlib
import logging
import random
import time

from edge.client.events import Events, plain
from edge.client.pac import Pac
from edge.client.session import Session, SessionEnded
from edge.client.watch import PROBE_HOST, Probe, Refusal, RefusalLog
from edge.envoy.client import CA_FILE, TOKEN_FILE, ca_file, token_file
from edge.home import Home
from edge.machine.api import ApiRefused, ConsoleUnreachable
from edge.protocol.codes import ENDS_SESSION, Code
from edge.protocol.reach import HOST as PAC_HOST

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
ASK_SECONDS = 4.0
# Seconds between two questions which applications are the account's.
PAC_SECONDS = 300.0
RETRY_SECONDS = (1.0, 60.0)
# Seconds in which the same refusal is told once: a browser that tries again and again is one piece of news.
REPEAT_SECONDS = 60.0
TOLD_AT_MOST = 200
# Sentences for the reasons of gateways and servers; reasons about the session end the session instead.
REASONS = {code.value: code.sentence for code in Code}
# Parts of the way that say more of an unreachable destination than its reason.
PARTS = {
    "name": "The destination's name does not resolve.",
    "refused": "The destination refused the connection.",
    "time-out": "The destination did not take the connection in time.",
    "ended": "The destination ended the connection before it answered.",
}


class Keeper:
    """Keeper of a session. `run` ends only by `SessionEnded`, whose text is for the user."""

    def __init__(self, session: Session, home: Home, events: Events, pac: Pac, *, reachable: bool) -> None:
        self._session = session
        self._home = home
        self._events = events
        self._pac = pac
        self._log = RefusalLog(home.path)
        self._told: dict[tuple[str, str], float] = {}
        self._reachable = reachable
        self._failures = 0
        self._doubts = 0
        self._retry_at = 0.0

    async def run(self) -> None:
        """Watch for ever. Raises `SessionEnded`."""
        probe, ask_at, pac_at = Probe(self._home.path), 0.0, time.monotonic() + PAC_SECONDS
        try:
            while True:
                doubt = self._read_log()
                if time.monotonic() >= ask_at or doubt:
                    doubt = await self._ask(probe)
                    ask_at = time.monotonic() + ASK_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311
                if doubt or self._session.seconds_to_renewal <= 0:
                    await self._renew(doubt)
                if time.monotonic() >= pac_at:
                    pac_at = time.monotonic() + PAC_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311
                    with contextlib.suppress(OSError):  # a full disk ends no session
                        await self._pac.refresh()
                await asyncio.sleep(min(LOOK_SECONDS, self._session.seconds_to_renewal + 0.1))
        finally:
            await probe.close()

    def _read_log(self) -> Refusal | None:
        """Tell what gateways refused; return a refusal that speaks of the session."""
        doubt = None
        for refusal in self._log.new():
            if refusal.about_session:
                doubt = refusal
            elif refusal.host not in (PROBE_HOST, PAC_HOST) and refusal.reason:
                self._tell_refused(refusal)
        return doubt

    def _tell_refused(self, refusal: Refusal) -> None:
        now, key = time.monotonic(), (refusal.host, refusal.reason + refusal.part)
        if now < self._told.get(key, 0.0):
            return
        if len(self._told) >= TOLD_AT_MOST:
            self._told.clear()
        self._told[key] = now + REPEAT_SECONDS
        why = PARTS.get(refusal.part) or REASONS.get(
            refusal.reason, f"The gateway's reason is {refusal.reason}."
        )
        verb = "could not be reached" if refusal.status >= 500 else "was refused"
        sentence = f"{refusal.host} {verb}: {why}"
        place = {"host": refusal.host, "reason": refusal.reason, "part": refusal.part}
        self._events.tell("denied", sentence, **place, status=refusal.status)

    async def _ask(self, probe: Probe) -> Refusal | None:
        answer = await probe.ask()
        if not answer.about_session:
            self._doubts = 0
        reachable = bool(answer.reason)
        if reachable != self._reachable:
            self._reachable = reachable
            if reachable:
                self._events.tell("gateway_back", "A gateway can be reached again.")
            else:
                self._events.tell("gateway_lost", "No gateway can be reached at present; trying again.")
        return answer if answer.about_session else None

    async def _renew(self, doubt: Refusal | None) -> None:
        """Exchange the token; after a refusal the console's word counts, or else the gateway's."""
        if time.monotonic() < self._retry_at:
            return
        try:
            grant = await self._session.renew()
        except SessionEnded as error:
            raise SessionEnded(_reason(doubt) or str(error)) from error
        except (ConsoleUnreachable, ApiRefused) as error:
            if reason := _reason(doubt):
                raise SessionEnded(reason) from error
            self._back_off(error)
            return
        self._home.write_atomic(TOKEN_FILE, token_file(grant.token))
        # The console may be replacing its CA, or have replaced the CA.
        self._home.write_atomic(CA_FILE, ca_file(grant.ca))
        if self._failures:
            self._events.tell("console_back", "The console can be reached again; the session is renewed.")
        self._failures = 0
        # While gateways go on to refuse, the console is asked less and less often.
        self._doubts = min(self._doubts + 1, 10) if doubt else 0
        self._retry_at = time.monotonic() + _pause(self._doubts)
        self._events.tell("renewed", "The session is renewed.", expires_at=grant.expires_at)

    def _back_off(self, error: ConsoleUnreachable | ApiRefused) -> None:
        self._retry_at = time.monotonic() + max(error.retry_after or 0.0, _pause(self._failures))
        if not self._failures:
            self._events.tell(
                "console_lost",
                f"The session could not be renewed yet: {plain(error)} Going on with the present token.",
            )
        self._failures = min(self._failures + 1, 10)


def _reason(doubt: Refusal | None) -> str:
    """Return the gateway's sentence, where that says that the session is over."""
    return doubt.message if doubt is not None and doubt.reason in ENDS_SESSION else ""


def _pause(failures: int) -> float:
    least, most = RETRY_SECONDS
    return min(most, least * 2.0**failures) * random.uniform(0.75, 1.25)  # noqa: S311
