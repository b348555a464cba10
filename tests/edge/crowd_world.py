"""A world for crowds: a gateway, a server of its connector, the origin behind it, and the Envoy of a client."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge.envoy.client import Forward, bootstrap
from edge.envoy.process import EnvoyProcess
from edge.envoy.server import TUNNELS_PER_GATEWAY
from tests.crowd import Http2, origin
from tests.edge import gateway_lab
from tests.edge.gateway_connector import ConnectorServer
from tests.edge.gateway_lab import CONNECTOR, GatewayLab, connector, policy, wait_until
from tests.ports import free_port

HOST, SERVER = "crowd.corp.example", "server-00000000000000f1"
TARGET = f"{HOST}:80"
NEIGHBOUR = {"session": "session-00000000000000d2", "account": "user-00000000000000c2"}


class World:
    """A gateway, a server of its connector, the origin behind it, and a client with a proxy and a forward."""

    def __init__(self, path: Path, application: int, connections: dict[asyncio.StreamWriter, None]) -> None:
        self.connections = connections  # the origin's, the oldest first
        self.gateway = GatewayLab(path)
        self.gateway.knows(
            connectors={CONNECTOR: connector(servers={SERVER: "enabled"})},
            applications={"pa-application-1": gateway_lab.application(HOST)},
            policies=[policy("1", CONNECTOR)],
        )
        self.server = ConnectorServer(
            self.gateway, path, SERVER, CONNECTOR, {HOST: f"127.0.0.1:{application}"}
        )
        self.proxy, self.forward = free_port(), free_port()
        self.client = self.gateway.client(path / "client")

    def tls(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.gateway.home.file("pki/ca.pem")))
        context.set_alpn_protocols(alpn)
        return context

    def http2(self, source: str = "127.0.0.1", **who: str) -> Http2:
        """A client of its own straight to the gateway."""
        credentials = f"Bearer {self.gateway.token(**who)}"
        return Http2("127.0.0.1", self.gateway.client_port, self.tls("h2"), TARGET, credentials, source)

    async def start(self, *arguments: str) -> None:
        await asyncio.to_thread(self.gateway.start, *arguments)
        tunnels = f"'{SERVER}': {TUNNELS_PER_GATEWAY}"
        await asyncio.to_thread(wait_until, lambda: tunnels in self.gateway.log.read_text(), tunnels, 30)
        forward = Forward("127.0.0.1", self.forward, HOST, 80)
        await self.client.start(bootstrap(("127.0.0.1", self.proxy), [forward], [self.gateway.url]))

    async def ended_tunnels(self) -> dict[str, int]:
        """The ends of tunnels and of clients' connections that no client wanted, by the name of Envoy's counter."""
        gateway, server = self.gateway.home.file("envoy"), self.server.home.file("envoy")
        found: Counter[str] = Counter()
        names = "downstream_cx_protocol_error|too_many_premature|downstream_cx_total$|reset_flood"
        for place, kept in ((gateway, "http.access"), (server, "http.reverse")):
            text = await EnvoyProcess(place).admin(f"/stats?format=json&filter={kept}.*({names})")
            for each in json.loads(text)["stats"]:
                if kept != "http.access" or not each["name"].endswith("cx_total"):
                    found[each["name"]] += each["value"]
        return dict(found)

    async def kept_streams(self) -> list[int]:
        """How many streams the gateway has of clients, and the server of the gateway."""
        places = self.gateway.home.file("envoy"), self.server.home.file("envoy")
        texts = [await EnvoyProcess(place).admin("/stats?filter=^http2.streams_active") for place in places]
        return [int(text.split()[-1]) for text in texts]

    async def held_back(self) -> int:
        """How many flows were refused because their address opens too many."""
        text = await EnvoyProcess(self.gateway.home.file("envoy")).admin("/stats?filter=pace.*rate_limited")
        return int(text.split()[-1])

    async def stop(self) -> None:
        await self.client.stop()
        self.server.close()
        self.gateway.close()


@asynccontextmanager
async def running(path: Path, *arguments: str) -> AsyncIterator[World]:
    connections: dict[asyncio.StreamWriter, None] = {}
    async with origin(connections=connections) as application:
        world = World(path, application, connections)
        try:
            await world.start(*arguments)
            yield world
        finally:
            await world.stop()
