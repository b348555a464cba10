"""A crowd of short flows costs nobody a flow: neither a tunnel nor a client's connection ends for it."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.envoy.client import ARGUMENTS, CA_FILE, TOKEN_FILE, Forward, bootstrap, ca_file, token_file
from edge.envoy.connector import TUNNELS_PER_GATEWAY
from edge.envoy.pace import TOO_MANY_FLOWS
from edge.envoy.process import EnvoyProcess
from edge.gateway.pace import BUSY_SECONDS
from edge.home import Home
from tests.crowd import Http2, Opener, by_connect, by_forward, crowd, long_flows, origin, reset_rapidly
from tests.edge.gateway_connector import ConnectorServer
from tests.edge.gateway_lab import CONNECTOR, GatewayLab, free_port, wait_until

HOST, SERVER = "crowd.corp.example", "server-00000000000000f1"
TARGET = f"{HOST}:80"
NEIGHBOUR = {"session": "session-00000000000000d2", "account": "user-00000000000000c2"}
pytestmark = pytest.mark.processes


class World:
    """A gateway, a server of its connector, the origin behind it, and a client with a proxy and a forward."""

    def __init__(self, path: Path, application: int) -> None:
        self.gateway = GatewayLab(path)
        self.gateway.document |= {
            "connectors": {
                CONNECTOR: {"name": "c", "enabled": True, "licensed": True, "servers": {SERVER: "enabled"}}
            },
            "applications": {
                "pa-application-1": {
                    "name": "crowd", "addresses": [HOST], "ports": [[80, 80]], "protocol": "TCP",
                }
            },
            "policies": [
                {
                    "id": "fs-1", "name": "p", "priority": 10, "users": "all", "groups": [], "accounts": [],
                    "applications": "all", "application_ids": [], "connector": CONNECTOR,
                }
            ],
        }  # fmt: skip
        self.gateway.home.write_json("snapshot.json", self.gateway.document)
        self.server = ConnectorServer(self.gateway, path, SERVER, CONNECTOR, HOST, f"127.0.0.1:{application}")
        self.proxy, self.forward = free_port(), free_port()
        home = Home(path / "client")
        home.write_atomic(TOKEN_FILE, token_file(self.gateway.token()))
        home.write_atomic(CA_FILE, ca_file(self.gateway.home.file("pki/ca.pem").read_text()))
        self.client = EnvoyProcess(home.path, concurrency=1, arguments=ARGUMENTS)

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
        url = f"https://127.0.0.1:{self.gateway.client_port}"
        await self.client.start(bootstrap(("127.0.0.1", self.proxy), [forward], [url]))

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
    async with origin() as application:
        world = World(path, application)
        try:
            await world.start(*arguments)
            yield world
        finally:
            await world.stop()


def ways(world: World, http2: Http2) -> dict[str, tuple[Opener, int]]:
    """Each way with how many flows make a crowd there: beyond what nghttp2 would have taken in a burst."""
    return {
        "forward": (by_forward(world.forward), 2500),
        "proxy": (by_connect("127.0.0.1", world.proxy, TARGET), 1500),
        "HTTP/2": (http2.open, 1500),
        "HTTP/1.1": (
            by_connect(
                "127.0.0.1",
                world.gateway.client_port,
                TARGET,
                f"Bearer {world.gateway.token()}",
                world.tls("http/1.1"),
            ),
            300,
        ),
    }


@pytest.mark.timeout(300)
def test_of_a_crowd_every_flow_brings_its_byte_and_long_flows_and_tunnels_live(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world, world.http2() as http2, world.http2(**NEIGHBOUR) as other:
            before = await world.ended_tunnels()
            for name, (opener, count) in ways(world, http2).items():
                async with long_flows(opener, 5), long_flows(other.open, 5):
                    outcome = await crowd(opener, count, 64)
                assert not outcome.lost, f"{name}: {outcome}"
                assert outcome.whole + outcome.refused[TOO_MANY_FLOWS] == count, f"{name}: {outcome}"
            assert await world.ended_tunnels() == before

    asyncio.run(story())


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
@pytest.mark.timeout(300)
def test_who_resets_without_end_is_held_back_and_the_neighbours_flows_live(tmp_path: Path) -> None:
    async def story() -> None:
        # From another address than the neighbours', with a pace that a loaded machine can exceed as well.
        async with running(tmp_path, "2048", "100") as world, world.http2(**NEIGHBOUR) as other:
            before, stop = await world.ended_tunnels(), asyncio.Event()
            place = ("127.0.0.1", world.gateway.client_port, world.tls("h2"), TARGET)
            hostile = asyncio.create_task(
                reset_rapidly(*place, f"Bearer {world.gateway.token()}", stop=stop, source="127.0.0.2")
            )
            async with long_flows(other.open, 5):
                while await world.held_back() < 1000:
                    outcome = await crowd(other.open, 1, 1)
                    assert outcome.whole == 1, outcome
                    await asyncio.sleep(0.1)
            stop.set()
            assert await hostile > 1000
            assert await world.ended_tunnels() == before

    asyncio.run(story())


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
@pytest.mark.timeout(300)
def test_a_busy_gateway_holds_back_who_opens_most(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            # An account may open two flows a second and ten at once while the gateway is busy.
            running(tmp_path, "2048", "20") as world,
            world.http2("127.0.0.2") as greedy,
            world.http2(**NEIGHBOUR) as other,
        ):
            assert world.gateway.agent
            world.gateway.agent.send_signal(signal.SIGSTOP)
            many, few = (
                asyncio.create_task(crowd(*each)) for each in ((greedy.open, 35, 35), (other.open, 5, 5))
            )
            await asyncio.sleep(2 * BUSY_SECONDS)  # so long the gateway decides nothing
            world.gateway.agent.send_signal(signal.SIGCONT)
            assert (await few).whole == 5
            outcome = await many
            assert not outcome.lost and set(outcome.refused) == {TOO_MANY_FLOWS}, outcome
            assert outcome.whole >= 10, outcome
            assert (await crowd(greedy.open, 1, 1)).whole == 1, "it keeps up again"

    asyncio.run(story())
