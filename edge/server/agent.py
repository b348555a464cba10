"""Agent of a connector server: keeps Envoy running by the console's configuration, and reports to the console.

The agent carries no user's byte, and Envoy lives on without the agent: the next agent adopts the Envoy that is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from prometheus_client.core import Metric

from edge import version
from edge.envoy import halfclose
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.envoy.server import ARGUMENTS, bootstrap
from edge.errors import EdgeError
from edge.home import Home
from edge.machine import backoff
from edge.machine.agent import Agent, Loops
from edge.machine.api import ApiRefused, ConsoleUnreachable
from edge.machine.spool import Spool
from edge.machine.support import STATUS, ask_for_module
from edge.outbound.errors import OutboundError
from edge.protocol.codes import Code
from edge.protocol.configuration import ServerConfiguration, UpgradeOrder
from edge.protocol.edition import NONE, Edition
from edge.protocol.message import MessageInvalid
from edge.protocol.reports import Nothing
from edge.server.dialling import Dialler
from edge.server.meter import SAMPLE_SECONDS, Meter
from edge.server.metrics import server_metrics
from edge.server.probes import Probes
from edge.server.reporter import Reporter

logger = logging.getLogger(__name__)

CONFIGURATION = "config.json"
# The console does not know this machine any more: asking often would not change that.
REFUSED_SECONDS = 60.0
STATUS_SECONDS = 15.0
WITHOUT_MODULE = "without half-close"
# What working by an answer raises that is not what it should be.
UNUSABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class Given(NamedTuple):
    """Configuration with the document that it came as, which goes to the disk.

    The document may hold what this release does not know, and the release after an upgrade has to find.
    """

    configuration: ServerConfiguration
    document: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Given:
        """Decode a document. Raise `MessageInvalid`."""
        return cls(ServerConfiguration.decode(document), document)


class ConnectorAgent(Agent):
    """Agent of a connector server. `concurrency`: threads of Envoy."""

    def __init__(self, home: Home, *, concurrency: int = 2) -> None:
        super().__init__(home)
        self._identity = home.identity
        self._spool = Spool(home.file("telemetry.db"))
        self._envoy = EnvoyProcess(home.file("envoy"), concurrency=concurrency, arguments=ARGUMENTS)
        self._dialler = Dialler(home, self._envoy, concurrency)
        self._news = asyncio.Event()
        self._probes = Probes(news=self._heard_of, now=self._api.now)
        self._meter = Meter(self._envoy, self._spool, clock=self._api.now, probes=self._probes.take)
        self._reporter = Reporter(
            self._spool,
            self._api,
            self._identity.console,
            envoy_state=self._envoy_state,
            open_flows=self._meter.open_flows,
            ways=lambda: (self._probes.ways, self._probes.destinations),
        )
        self._configuration: ServerConfiguration | None = None
        self._wanted = NONE
        self._hinted = 0
        self._interval = 0.0
        self._removed = False
        self._heard_at: float | None = None
        self._complaint = ""
        # A configuration that this machine could not follow when it came, and why; it is tried again.
        self._pending: Given | None = None
        self._hindrance = ""

    async def begin(self) -> Loops:
        logger.info("Connector server %s of %s.", self._identity.id, self._identity.connector)
        await ask_for_module(self._home)
        await self._apply_known()
        return {
            "samples": self._sampling(),
            "reports": self._reporting(),
            "envoy": self._envoy.run_forever(),
            "tunnels": self._dialler.watch(),
            "probes": self._probes.run(),
            "status": self._telling(),
        }

    async def end(self) -> None:
        await self._meter.take()
        await self._envoy.stop()
        self._spool.close()
        logger.info("Stopped.")

    def _envoy_state(self) -> str:
        """Return what the console shows of Envoy: anything but ``running`` is a yellow light there."""
        known = self._envoy.state == "running" and not halfclose.usable()
        return WITHOUT_MODULE if known else self._envoy.state

    @property
    def _applied(self) -> Edition:
        """Edition of the configuration that this machine works by; that of none before the first."""
        return self._configuration.edition if self._configuration else NONE

    @property
    def _is_behind(self) -> bool:
        return self._heard_at is not None and self._wanted.follows(self._applied)

    def order(self) -> UpgradeOrder | None:
        """Return the order in the configuration, once the console has said that it is the present one."""
        newest = self._heard_at is not None and not self._is_behind
        return self._configuration.upgrade if newest and self._configuration else None

    async def _apply_known(self) -> None:
        """Work by the configuration on disk, so that a console that is away is no reason to be idle."""
        document = self._home.read_json(CONFIGURATION)
        if document is None:
            logger.warning("There is no configuration on disk yet; waiting for the console's.")
            return
        with contextlib.suppress(*UNUSABLE):
            await self._apply(Given.of(document))
            return
        logger.error("The configuration on disk is damaged; waiting for the console's.")

    async def _apply(self, given: Given) -> None:
        """Work by a configuration, as far as this machine can now."""
        number = given.configuration.version
        try:
            await self._bring_about(given)
        except (EnvoyError, OSError) as error:
            reason = str(error) if isinstance(error, EdgeError) else f"{error.strerror or error}."
            hindrance = f"Configuration {number} cannot be followed now: {reason}"
            if hindrance != self._hindrance:
                logger.error("%s", hindrance)
            self._pending, self._hindrance = given, hindrance
            return
        self._pending, self._hindrance = None, ""
        self._configuration = given.configuration
        logger.info("Working by configuration %d.", number)

    async def _bring_about(self, given: Given) -> None:
        """Raises `EnvoyError` or OSError for what could not be done, after what could."""
        unwritten = self._take_over(given)
        if isinstance(unwritten, OutboundError):
            raise unwritten  # without a way to its gateways Envoy has no files to start by
        if not given.configuration.server.enabled:
            if self._envoy.state != "stopped":
                logger.info("This server was switched off in the console; hanging up.")
            await self._envoy.stop()
        else:
            # By the files of before, if the new ones cannot be written.
            await self._envoy.start(bootstrap(self._identity))
            await self._meter.take()
        if unwritten is not None:
            raise unwritten

    def _take_over(self, given: Given) -> OSError | None:
        """Tell all parts, and write down what Envoy and the next agent read; return why that cannot be written."""
        try:
            self._dialler.follow(given.configuration)
            self._probes.follow(given.configuration)
            self._logs.follow(given.configuration.logs)
            # Write last: a document that a part cannot follow must not be there at the next start.
            self._home.write_changed_json(CONFIGURATION, given.document)
        except OSError as error:
            return error
        return None

    def metrics(self) -> Iterable[Metric]:
        return server_metrics(
            self._envoy, self._dialler.tunnels, self._probes, self._meter.last, self._applied.version
        )

    async def _sampling(self) -> None:
        while True:
            # By the clock, so that the samples of several servers belong to the same intervals.
            await asyncio.sleep(SAMPLE_SECONDS - time.time() % SAMPLE_SECONDS)
            await self._meter.take()

    async def _telling(self) -> None:
        """Write for ``causeway status`` what only this process knows; whenever it changes, and now and then."""
        told: dict[str, Any] = {}
        while True:
            problem = " ".join(filter(None, (self._hindrance, self._complaint)))
            facts = {"applied": self._applied.version, "wanted": self._wanted.version, "problem": problem}
            facts |= {"behind": self._is_behind, "version": version()}
            # Either way: the machine's clock may be set back.
            stale = abs((self._heard_at or 0.0) - (told.get("heard_at") or 0.0)) > STATUS_SECONDS
            if stale or facts != {name: told.get(name) for name in facts}:
                told = {**facts, "heard_at": self._heard_at}
                with contextlib.suppress(OSError):  # a full disk is told by `causeway check`
                    self._home.write_json(STATUS, told)
            await asyncio.sleep(2.0)

    async def _reporting(self) -> None:
        failures = 0
        while True:
            try:
                if self._pending is not None and not self._removed:
                    await self._apply(self._pending)
                pause = await self._report() * random.uniform(0.8, 1.2)  # noqa: S311
                failures = 0
            except ConsoleUnreachable as error:
                failures += 1
                pause = backoff.pause(failures, asked=error.retry_after)
                self._complain(f"{error} Going on with what is known; samples are kept.")
            except ApiRefused as error:
                failures += 1
                pause = await self._after_refusal(error, failures)
            except MessageInvalid as error:
                pause = REFUSED_SECONDS
                self._complain(f"The console's configuration is refused, the one before stays: {error}")
            except (*UNUSABLE, OSError) as error:
                pause = REFUSED_SECONDS
                self._complain(f"What the console said cannot be used: {error!r}.")
            await self._rest(pause)

    def _heard_of(self, version: int) -> None:
        """Call the console before the time, once, when a gateway says that there is a newer configuration."""
        if version > self._applied.version and version != self._hinted:
            self._hinted = version
            self._news.set()

    async def _rest(self, seconds: float) -> None:
        """Wait, or until there is news; then only so long that many servers do not all come at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
                await asyncio.sleep(self._interval / 3 * random.random())  # noqa: S311
        self._news.clear()

    async def _report(self) -> float:
        """Make one call and follow the answer; return the seconds until the next."""
        answer = await self._reporter.step(self._configuration)
        self._heard_at, self._wanted, self._interval = time.time(), answer.wanted, answer.interval
        if self._removed:  # the console was restored from an older copy, and now again from a newer one
            self._removed = False
            await self._apply_known()
        pending = self._pending.configuration.edition if self._pending else NONE
        pause = answer.interval
        older = answer.wanted.is_older_than(self._applied)
        if older:
            self._complain(
                f"The console wants configuration {answer.wanted.version}, older than {self._applied.version}; "
                "keeping ours."
            )
        elif self._is_behind and answer.wanted.follows(pending):
            given = Given.of(await self._api.document("server/config", Nothing()))
            if not given.configuration.edition.is_older_than(self._applied):
                await self._apply(given)
            pause = 1.0
        if not older:
            self._complaint = ""
        return 0.0 if answer.more else pause

    async def _after_refusal(self, error: ApiRefused, failures: int) -> float:
        if error.code == Code.MACHINE_UNKNOWN and not self._removed:
            # Gateways give it no flow any more; a machine that nobody counts with must not stay connected either.
            self._removed = True
            await self._envoy.stop()
        if error.code == Code.CLOCK_SKEW:
            # A clock was set between the correction and the second try, here or there: the next call corrects again.
            self._complain(f"The console refused ({error.code}): {error.message}")
            return backoff.pause(failures)
        if error.status in (401, 403, 404):
            self._complain(
                f"The console refuses this machine ({error.code}): {error.message} If it was removed there, "
                "uninstall it here, or enroll it again."
            )
            return backoff.pause(1, asked=REFUSED_SECONDS)
        self._complain(f"The console refused ({error.code}): {error.message}")
        return backoff.pause(1, asked=error.retry_after or backoff.MOST_SECONDS / 3)

    def _complain(self, message: str) -> None:
        """Log a complaint once, not at every try."""
        if message != self._complaint:
            logger.warning("%s", message)
        self._complaint = message
