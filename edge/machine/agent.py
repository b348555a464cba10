"""Agent of a machine: the process beside Envoy, which runs until a signal or an upgrade ends the process.

What gateways and connector servers do alike is here. The trades `edge.gateway.agent` and `edge.server.agent`
add the rest.
"""

import asyncio
import datetime as dt
import logging
import random
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric

from edge.errors import EdgeError
from edge.home import Home, NotEnrolled
from edge.machine.api import ApiError, ConsoleApi
from edge.machine.enrollment import EnrollmentError, renew, renewal_due
from edge.machine.log_export import LogSender
from edge.machine.marks import marks_of_this_start
from edge.machine.metrics import publish_metrics
from edge.machine.support import disown, held, keep_log
from edge.machine.upgrade import Upgrader
from edge.protocol.configuration import UpgradeOrder

logger = logging.getLogger(__name__)

RENEWAL_CHECK_SECONDS = 300.0
MACHINES = {"gateway": "gateway", "server": "connector server"}
Loops = dict[str, Coroutine[Any, Any, None]]  # coroutines by name; each runs for as long as the agent


class Cloned(EdgeError):
    """Refusal of this machine by the console, since it is a copy of another one. The message is the console's."""

    exit_code = 4  # exit code by which systemd knows that there is nothing to start again


class Agent(ABC):
    """Agent of one machine. A trade gives what is done first, its loops, and what is done after all loops have ended.

    `stop` ends the agent.
    """

    def __init__(self, home: Home) -> None:
        self._home, self._copied = home, ""
        self._api = ConsoleApi(home, marks=marks_of_this_start(), cloned=self._give_up)
        self._logs = LogSender(home, self._api)
        self.stop = asyncio.Event()
        self._upgrader = Upgrader(home, self._api, current=self.order, switch=self.stop.set)

    @abstractmethod
    async def begin(self) -> Loops:
        """Work by what is on disk, so that a console that is away is no reason to be idle; return the trade's loops."""

    @abstractmethod
    def order(self) -> UpgradeOrder | None:
        """Return what the console wants installed; None while the newest configuration is not known."""

    @abstractmethod
    def metrics(self) -> Iterable[Metric]:
        """Return the machine's figures for Prometheus."""

    @abstractmethod
    async def end(self) -> None:
        """End Envoy, and write unsent records down. No loop runs any more."""

    async def run(self) -> Path | None:
        """Work until `stop`, SIGTERM or SIGINT; return the program to go on as after an upgrade, else None.

        Raises `Cloned`, with the identity gone from the folder, when the console wants this machine to enroll anew.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        try:
            await self._run_loops(await self.begin())
        finally:
            await self._api.close()
        if self._copied:
            disown(self._home, self._copied)
            raise Cloned(self._copied)
        return self._upgrader.successor

    def _give_up(self, sentence: str) -> None:
        """End the agent: the console goes on with the other machine of the same identity."""
        if not self._copied:
            logger.error("%s", sentence)
        self._copied = sentence
        self.stop.set()

    async def _run_loops(self, loops: Loops) -> None:
        loops["certificates"] = self._renew_certificates()
        loops["logs"] = self._logs.run()
        loops["upgrades"] = self._upgrader.run()
        loops["metrics"] = publish_metrics(self._home, self.metrics)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(each, name=name) for name, each in loops.items()
        ]
        waiting = asyncio.create_task(self.stop.wait())
        try:
            done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:  # a loop only ends by a fault of the code: let the fault be seen
                task.result()
                raise RuntimeError(f"The loop “{task.get_name()}” has ended.")
        finally:
            for task in [waiting, *tasks]:
                task.cancel()
            await asyncio.gather(waiting, *tasks, return_exceptions=True)
            await self.end()

    async def _renew_certificates(self) -> None:
        """Renew certificates at two thirds of their life; Envoy takes the new ones without a restart."""
        while True:
            pause = RENEWAL_CHECK_SECONDS
            try:
                left = (renewal_due(self._home) - dt.datetime.now(dt.UTC)).total_seconds()
                if left <= 0:
                    await renew(self._home, self._api)
                else:
                    pause = min(pause, left)
            except (ApiError, EnrollmentError, OSError, ValueError) as error:
                logger.warning("The certificates could not be renewed: %s", error)
            await asyncio.sleep(max(pause, 1.0) * random.uniform(1.0, 1.1))  # noqa: S311


def run_agent(kind: str, home: Home, trade: Callable[[Home], Agent]) -> Path | None:
    """Be the agent of a folder until it ends; return the program to go on as after an upgrade, else None.

    `kind`: what the folder's machine must be, ``gateway`` or ``server``. Raises `NotEnrolled`, `AlreadyRunning`.
    """

    async def run() -> Path | None:
        return await trade(home).run()

    found = home.identity.kind
    if found != kind:
        raise NotEnrolled(
            f"{home.path} is that of a {MACHINES.get(found, found)}, not of a {MACHINES[kind]}."
        )
    keep_log(home)
    with held(home):
        return asyncio.run(run())
