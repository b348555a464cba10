"""The gateway's agent: one process that starts Envoy, answers it, and keeps in touch with the console."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
from envoy.service.accesslog.v3 import als_pb2_grpc
from envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as proc_grpc
from prometheus_client.core import Metric

from edge.envoy.bandwidth import SLOTS
from edge.envoy.gateway import bootstrap, secret_files
from edge.envoy.pace import ADDRESS_FLOWS
from edge.envoy.parts import GATEWAY_WORKERS
from edge.envoy.process import EnvoyError, EnvoyProcess
from edge.gateway.accesslog import FlowLog
from edge.gateway.authorizer import Authorizer
from edge.gateway.bandwidth import Bandwidth
from edge.gateway.configuration import Configuration
from edge.gateway.echo import EchoResponder
from edge.gateway.flows import LOGGED_SECONDS, Flow, Flows
from edge.gateway.metrics import gateway_metrics
from edge.gateway.pace import Pace
from edge.gateway.reports import FlowSender, StatusReporter
from edge.gateway.sessions import Sessions
from edge.gateway.state import GatewayState, Refusal
from edge.gateway.tunnels import TunnelWatch
from edge.home import Home
from edge.machine.agent import Agent, Loops
from edge.machine.spool import Spool
from edge.machine.support import ask_for_module
from edge.protocol.codes import Code
from edge.protocol.configuration import Gateway

logger = logging.getLogger(__name__)

SOCKET = "agent.sock"
# An adopted Envoy tells of every open flow within one interval of its access log (2 s).
SETTLE_SECONDS = 3.0
MAINTENANCE_SECONDS = 2.0


class GatewayAgent(Agent):
    """All parts of a running gateway, put together.

    ``slots``: how many accounts with a bandwidth cap may have flows at the same time; ``flows``: how many an address
    may open in a second, and an account a tenth of it while decisions have to wait.
    """

    def __init__(self, home: Home, *, slots: int = SLOTS, flows: int = ADDRESS_FLOWS) -> None:
        super().__init__(home)
        api = self._api
        self._slots, self._flows_per_second = slots, flows
        self._directory = home.file("envoy")
        self.state = GatewayState(clock=api.now)
        self.sessions = Sessions(api, self.state)
        self.flows = Flows(self.state, latest=self.sessions.latest)
        self.envoy = EnvoyProcess(self._directory, concurrency=GATEWAY_WORKERS)
        self.bandwidth = Bandwidth(self.envoy, self.state, self.flows, slots=slots)
        self._status = StatusReporter(
            api,
            self.state,
            self.flows,
            self.envoy,
            on_answer=lambda answer: self._logs.follow(answer.get("logs")),
        )
        self.tunnels = TunnelWatch(self.envoy, self.state, self._status.changed.set)
        self._spool = Spool(home.file("flows.sqlite3"))
        self._sender = FlowSender(api, self._spool)
        self._log = FlowLog(self.flows, self.state, self._spool, on_stranger=self._stranger)
        self.configuration = Configuration(
            home,
            api,
            self.state,
            self.flows,
            self.sessions,
            restart_envoy=self._cut_by_restart,
            on_applied=self._follow_gateway,
            on_removed=self._hang_up,
            settled=self._settled,
        )
        self._gateway: Gateway | None = None
        self._hindrance = ""  # why Envoy does not start
        self._envoy_state = ""
        self._incarnation: str | None = None
        self._settled_at = 0.0
        self._background: set[asyncio.Task[Any]] = set()
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])

    # -- Life --

    async def begin(self) -> None:
        """Answer Envoy, and work by the configuration on disk."""
        self._serve()
        await self._server.start()
        await ask_for_module(self._home)
        self.configuration.load()
        await self._follow_gateway()

    def loops(self) -> Loops:
        """Return what a gateway does all the time."""
        return {
            "configuration": self.configuration.poll_forever(),
            "envoy": self.envoy.run_forever(),
            "tunnels": self.tunnels.watch(),
            "status": self._status.run(),
            "records": self._sender.run(),
            "maintenance": self._maintain(),
            "probes": EchoResponder(self.state).run(),
        }

    def metrics(self) -> Iterable[Metric]:
        """Return the gateway's figures for Prometheus."""
        return gateway_metrics(self.state, self.flows, self.envoy)

    def _serve(self) -> None:
        pace = Pace(self.state.ticks, self._flows_per_second / 10)
        authorizer = Authorizer(self.state, self.sessions, self.flows, self.tunnels, self.bandwidth, pace)
        auth_grpc.add_AuthorizationServicer_to_server(authorizer, self._server)
        proc_grpc.add_ExternalProcessorServicer_to_server(self.flows, self._server)
        als_pb2_grpc.add_AccessLogServiceServicer_to_server(self._log, self._server)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _inside(self._directory):  # the path of a unix socket may have no more than 108 characters
            Path(SOCKET).unlink(missing_ok=True)
            self._server.add_insecure_port(f"unix:{SOCKET}")

    async def end(self) -> None:
        """End all flows, and write down their last records."""
        self.state.close(Refusal(Code.GATEWAY_AGENT_DOWN, "This gateway is being stopped."))
        await self._hang_up()
        with contextlib.suppress(Exception):  # one last try; what is not sent now lies in the spool
            await asyncio.wait_for(self._sender.send(), 2)
        await self._server.stop(0.2)
        self._spool.close()

    async def _hang_up(self) -> None:
        """End all flows, and Envoy. Cut one by one, so that Envoy tells how many bytes each of them carried."""
        _, left = await self.flows.cut(lambda flow: True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOGGED_SECONDS):
                while set(self.flows) - set(left):
                    await asyncio.sleep(0.02)
        await self.envoy.stop()
        self._gateway = None
        for flow in self.flows:
            self._log.end(flow)

    async def _maintain(self) -> None:
        """What time alone changes: sessions to renew, sessions that expired, flows that vanished with Envoy."""
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            if self.envoy.state != self._envoy_state:
                self._envoy_state = self.envoy.state
                self._status.changed.set()
            self._end_lost()
            await self.sessions.renew(flow.identity.session for flow in self.flows)
            await self.configuration.enforce(self._expired)
            if self._gateway is None:
                await self._follow_gateway()
            await self.configuration.save()

    def _expired(self, flow: Flow) -> bool:
        return self.sessions.latest(flow.identity).expires_at <= self.state.clock()

    def _end_lost(self) -> None:
        """Flows whose end Envoy did not log, because it died."""
        lost = self.flows.lost()
        if self.envoy.incarnation != self._incarnation:
            self._incarnation = self.envoy.incarnation
            lost = [flow for flow in self.flows if flow.stream is None]
        for flow in lost:
            self._log.end(flow)

    # -- Envoy --

    async def _follow_gateway(self) -> None:
        """Start Envoy, or start it anew when the gateway's own addresses changed. What fails now is tried again."""
        if self.state.snapshot is None:
            return
        # Another key is no reason to start Envoy anew.
        gateway = msgspec.structs.replace(self.state.snapshot.gateway, echo_key="")
        if gateway == self._gateway:
            return
        before = self._recorded_envoy()
        self._gateway = None  # until it has started: it is tried again then
        try:
            for name, data in secret_files(["tunnel", "access"]).items():
                self._home.write_changed(f"envoy/{name}", data)
            await self.envoy.start(bootstrap(gateway, slots=self._slots, flows=self._flows_per_second))
        except (EnvoyError, OSError) as error:
            reason = str(error) if isinstance(error, EnvoyError) else f"{error.strerror or error}."
            if reason != self._hindrance:
                logger.error("Envoy does not start: %s", reason)
            self._hindrance = reason
            return
        self._hindrance = ""
        self._gateway, self._incarnation = gateway, self.envoy.incarnation
        adopted = before and before == self._recorded_envoy()
        self._settled_at = self.state.ticks() + SETTLE_SECONDS if adopted else 0.0
        logger.info(
            "Envoy %s, clients at %s:%d",
            "adopted" if adopted else "started",
            gateway.listen,
            gateway.client_port,
        )
        await self.tunnels.refresh()

    def _recorded_envoy(self) -> bytes:
        try:
            return self._home.file("envoy/envoy.pid").read_bytes()
        except OSError:
            return b""

    async def _settled(self) -> bool:
        waited = False
        while (left := self._settled_at - self.state.ticks()) > 0:
            waited = True
            await asyncio.sleep(left)
        return waited

    async def _cut_by_restart(self, left: list[Flow]) -> None:
        """The last resort against orphans: with Envoy all flows end, and clients and servers dial again."""
        self.state.metrics.envoy_restarts_for_cuts += 1
        self.state.metrics.cuts += len(left)
        logger.warning("Envoy is restarted: %d flows that must be cut cannot be cut one by one", len(left))
        await self.envoy.stop()
        for flow in self.flows:
            self._log.end(flow)
        self._gateway, self._settled_at = None, 0.0
        await self._follow_gateway()

    def _stranger(self, flow: Flow) -> None:
        """The log told of a flow that may not go on: an orphan, or one whose server turned out to be disabled."""
        if self.state.snapshot is None:  # all of them end now
            return
        task = asyncio.create_task(self.configuration.enforce())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    os.chdir(directory)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)
