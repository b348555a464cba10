"""Agent of a gateway: starts Envoy, answers Envoy's questions, and keeps in touch with the console."""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
from envoy.service.accesslog.v3 import als_pb2_grpc
from envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as proc_grpc
from prometheus_client.core import Metric

from edge.envoy.bandwidth import SLOTS
from edge.envoy.pace import ADDRESS_FLOWS
from edge.envoy.parts import GATEWAY_WORKERS
from edge.envoy.process import EnvoyProcess
from edge.gateway.accesslog import FlowLog
from edge.gateway.authorizer import Authorizer
from edge.gateway.bandwidth import Bandwidth
from edge.gateway.configuration import Configuration
from edge.gateway.cutting import Cutter
from edge.gateway.echo import EchoResponder
from edge.gateway.flows import Flows
from edge.gateway.life import EnvoyLife
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
from edge.protocol.configuration import UpgradeOrder

SOCKET = "agent.sock"
MAINTENANCE_SECONDS = 2.0


class GatewayAgent(Agent):
    """Agent of a gateway: all parts, put together.

    ``slots``: how many accounts with a bandwidth cap may have flows at the same time; ``flows``: how many an address
    may open in a second, and an account a tenth of it while decisions have to wait.
    """

    def __init__(self, home: Home, *, slots: int = SLOTS, flows: int = ADDRESS_FLOWS) -> None:
        super().__init__(home)
        api = self._api
        self._flows_per_second = flows
        self._directory = home.file("envoy")
        self.state = GatewayState(clock=api.now)
        self.sessions = Sessions(api, self.state)
        self.flows = Flows(self.state, latest=self.sessions.latest)
        self.envoy = EnvoyProcess(self._directory, concurrency=GATEWAY_WORKERS)
        self.bandwidth = Bandwidth(self.envoy, self.state, self.flows, slots=slots)
        self._status = StatusReporter(api, self.state, self.flows, self.envoy, self._logs)
        self.tunnels = TunnelWatch(self.envoy, self.state, self._status.changed.set)
        self._spool = Spool(home.file("flows.sqlite3"))
        self._sender = FlowSender(api, self._spool)
        self._log = FlowLog(self.flows, self.state, self._spool)
        self._life = EnvoyLife(
            home, self.envoy, self.state, self.flows, self._log, self.tunnels, slots=slots, rate=flows
        )
        self._cutter = Cutter(self.state, self.flows, self.sessions.latest, self._life.restart)
        self.configuration = Configuration(home, api, self.state, self.sessions, self._cutter, self._life)
        self._envoy_state = ""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])

    async def begin(self) -> Loops:
        self._serve()
        await self._server.start()
        await ask_for_module(self._home)
        self.configuration.load()
        await self._life.follow()
        return {
            "configuration": self.configuration.poll_forever(),
            "envoy": self.envoy.run_forever(),
            "tunnels": self.tunnels.watch(),
            "status": self._status.run(),
            "records": self._sender.run(),
            "maintenance": self._maintain(),
            "strangers": self._end_strangers(),
            "probes": EchoResponder(self.state).run(),
        }

    def order(self) -> UpgradeOrder | None:
        snapshot = self.state.snapshot
        return snapshot.upgrade if snapshot and self.configuration.is_newest else None

    def metrics(self) -> Iterable[Metric]:
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
        self.state.close(Refusal(Code.GATEWAY_AGENT_DOWN, "This gateway is being stopped."))
        await self._cutter.end_all()
        await self._life.stop()
        with contextlib.suppress(Exception):  # one last try; what is not sent now lies in the spool
            await asyncio.wait_for(self._sender.send(), 2)
        await self._server.stop(0.2)
        self._spool.close()

    async def _maintain(self) -> None:
        """Do what time alone calls for: renew sessions, end expired ones, notice flows that vanished with Envoy."""
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            if self.envoy.state != self._envoy_state:
                self._envoy_state = self.envoy.state
                self._status.changed.set()
            self._life.end_lost()
            await self.sessions.renew(flow.identity.session for flow in self.flows)
            await self._cutter.end_expired()
            await self._life.retry()
            await self.configuration.save()

    async def _end_strangers(self) -> None:
        """Cut what the log told of: an orphan that may not go on, or a flow whose server turned out to be disabled."""
        while True:
            await self._log.strangers.wait()
            self._log.strangers.clear()
            if self.state.snapshot is not None:  # else all flows end now
                await self._cutter.enforce()


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    os.chdir(directory)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)
