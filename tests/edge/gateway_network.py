"""A gateway's dealings with its console, without Envoy: the network ends at httpx's transport."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, cast

import httpx
import pytest
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from edge.access.snapshot import Snapshot
from edge.envoy.agent import METADATA
from edge.gateway.accesslog import FlowLog
from edge.gateway.configuration import Configuration
from edge.gateway.cutting import Cutter
from edge.gateway.flow import FLOW_KEY, Flow
from edge.gateway.flows import Flows
from edge.gateway.life import EnvoyLife
from edge.gateway.sessions import LogonFailed, Sessions
from edge.gateway.state import GatewayState
from edge.home import Home, Identity
from edge.machine.api import ConsoleApi
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import BasicCredentials, BearerToken
from tests.edge import console_lab
from tests.edge.connector_lab import beside
from tests.edge.console_lab import grant
from tests.edge.gateway_lab import ACCOUNT, GATEWAY, INSTANCE, SESSION, snapshot_document
from tests.edge.gateway_pki import Authority, TokenSigner

ALICE = BasicCredentials("alice", INSTANCE, "correct horse")
SIGNER = TokenSigner()
Answer = tuple[int, dict[str, Any], dict[str, str]]


def refusal(status: int, code: str, **headers: str) -> Answer:
    return status, console_lab.refusal(code, "A sentence."), headers


class NoEnvoy:
    """Stands where a gateway's Envoy is; nothing flows."""

    async def follow(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def restart(self) -> None:
        raise AssertionError("There is no flow to cut.")

    async def settled(self) -> bool:
        return False


class Network:
    """Answers the gateway's calls by a function, and keeps them."""

    def __init__(self, path: Path) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str, dict[str, Any]], Answer] = lambda path, body: refusal(404, "NotFound")
        self.now = time.time()
        self.state = GatewayState(clock=lambda: self.now, ticks=lambda: self.now)
        self.home = Home(path)
        Authority().gateway(self.home, GATEWAY)
        self.home.write_identity(Identity(GATEWAY, "gateway", "http://console.example"))
        self.api = ConsoleApi(self.home, transport=httpx.MockTransport(self._handle))
        self.document = snapshot_document(SIGNER, 40001, 40002)
        self.sessions = Sessions(self.api, self.state)
        envoy = NoEnvoy()
        cutter = Cutter(self.state, Flows(self.state), self.sessions.latest, envoy.restart)
        self.configuration = Configuration(
            self.home, self.api, self.state, self.sessions, cutter, cast(EnvoyLife, envoy)
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        name = request.url.path.removeprefix("/edge/v1/")
        self.calls.append((name, body))
        await asyncio.sleep(0)
        status, answer, headers = self.answer(name, body)
        return httpx.Response(status, json=answer, headers=headers)

    def configured(self) -> Self:
        self.state.adopt(Snapshot.compile(GatewayConfiguration.decode(self.document)))
        return self

    def grants(self, session: str = SESSION, seconds: float = 1000) -> Answer:
        token = SIGNER.token(session, ACCOUNT, INSTANCE, seconds=seconds + self.now - time.time())
        return 200, grant(token), {}

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def failure(self, credentials: BasicCredentials | BearerToken = ALICE) -> LogonFailed:
        """Log on, which must fail."""
        with pytest.raises(LogonFailed) as caught:
            await self.sessions.identify(credentials, "192.0.2.1")
        return caught.value

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """Have the console asked for configurations again and again during the block, which ends within 30 s."""
        async with beside(self.configuration.poll_forever()), asyncio.timeout(30):
            yield


def _logged(flow: Flow, up: int, kind: accesslog_pb2.AccessLogType) -> als_pb2.StreamAccessLogsMessage:
    message = als_pb2.StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    entry.common_properties.access_log_type = kind
    entry.common_properties.metadata.filter_metadata[METADATA].fields[FLOW_KEY].string_value = flow.dump()
    entry.request.request_body_bytes, entry.response.response_code.value = up, 200
    return message


async def told(log: FlowLog, flow: Flow, up: int, kind: accesslog_pb2.AccessLogType) -> None:
    """Have Envoy's access log say something of a flow."""

    async def messages() -> AsyncIterator[als_pb2.StreamAccessLogsMessage]:
        yield _logged(flow, up, kind)

    await log.StreamAccessLogs(messages(), None)
