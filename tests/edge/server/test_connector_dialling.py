"""Tunnels that were lost: dialled again at once, by a line of their own, and never at the price of a living one."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge.envoy.process import EnvoyProcess
from edge.envoy.server import ARGUMENTS, bootstrap
from edge.envoy.tunnels import line_tunnels
from edge.protocol.configuration import ServerConfiguration
from edge.server.dialling import Dialler
from tests.edge.connector_lab import (
    LabGateway,
    application,
    configuration,
    enrolled_server,
    is_served,
    running_application,
    until,
)
from tests.edge.gateway_pki import Authority
from tests.edge.server_lab import open_flow

pytestmark = pytest.mark.processes

WORKERS = 2


class World:
    """Two gateways, one server's Envoy with its dialler, and an application ``wiki.corp.example``."""

    def __init__(self, folder: Path, wiki: int) -> None:
        authority = Authority()
        self.gateways = [
            LabGateway(folder / f"gateway-{n}", authority, "connector-1", id=f"gateway-{n}") for n in (1, 2)
        ]
        self.home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
        self.envoy = EnvoyProcess(self.home.file("envoy"), concurrency=WORKERS, arguments=ARGUMENTS)
        self.dialler = Dialler(self.home, self.envoy, WORKERS)
        self.applications = [application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{wiki}")]
        self.version = 0
        self.watching: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Have the tunnels looked after from now on."""
        self.watching = asyncio.create_task(self.dialler.watch())

    def follow(self, **ports: int) -> None:
        """Take a configuration; ``gateway_1=PORT`` moves a gateway."""
        self.version += 1
        wanted = configuration(self.home, self.gateways, self.applications, version=self.version)
        for gateway in wanted["gateways"]:
            gateway["port"] = ports.get(gateway["id"].replace("-", "_"), gateway["port"])
        self.dialler.follow(ServerConfiguration.decode(wanted))

    def lines(self) -> list[str]:
        written = json.loads(self.home.file("envoy/listeners.json").read_text())
        return [each["name"] for each in written["resources"]]

    async def dialled(self) -> bool:
        """Whether there are all tunnels, as Envoy has it."""
        found = await line_tunnels(self.envoy)
        return len(found) == len(self.gateways) and min(found.values()) == self.dialler.wanted

    def whole(self) -> bool:
        return all(count >= self.dialler.wanted for count in self.dialler.tunnels.values())

    def lost(self) -> bool:
        return self.dialler.tunnels["gateway-1"] == 0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with running_application() as wiki:
        made = World(tmp_path, wiki)
        try:
            for gateway in made.gateways:
                await gateway.start()
            yield made
        finally:
            if made.watching is not None:
                made.watching.cancel()
                await asyncio.gather(made.watching, return_exceptions=True)
            await made.envoy.stop()
            for gateway in made.gateways:
                await gateway.envoy.stop()


async def begin(world: World, **ports: int) -> None:
    """One line to each gateway. On a busy machine it may take so long that a watch would have begun another."""
    world.follow(**ports)
    await world.envoy.start(bootstrap(world.home.identity))
    await until(world.dialled, "all tunnels")
    world.watch()
    await until(world.whole, "all tunnels seen")


async def kill(gateway: LabGateway) -> None:
    """End a gateway's Envoy as a crash does, and await the process: a later start would forget it un-awaited."""
    os.kill(json.loads((gateway.envoy.directory / "envoy.pid").read_text())["pid"], signal.SIGKILL)
    await gateway.envoy.stop()


async def test_a_gateway_that_was_killed_gets_a_new_line_and_no_other_gateway_notices(world: World) -> None:
    await begin(world)
    async with open_flow(world.gateways[1]) as lives:
        assert world.lines() == ["gateway-1~0", "gateway-2~0"]
        await kill(world.gateways[0])
        await until(world.lost, "the loss noticed")
        assert world.lines() == ["gateway-1~0", "gateway-2~0"], "nothing to dial while its port is silent"
        await world.gateways[0].start()
        await until(world.whole, "the tunnels back")
        lines = world.lines()
        # One for certain; on a busy machine it may have taken so long that one more was begun.
        assert "gateway-1~0" not in lines and {"gateway-1~1", "gateway-1~2"} & set(lines)
        assert lines[-1] == "gateway-2~0"
        assert await is_served(world.gateways[0])
        assert await lives()


async def test_a_gateway_that_was_away_at_the_start_is_dialled_when_it_comes(world: World) -> None:
    await world.gateways[0].envoy.stop()
    world.follow()
    world.watch()
    await world.envoy.start(bootstrap(world.home.identity))
    other = "the other gateway's tunnels"
    await until(lambda: world.dialler.tunnels["gateway-2"] == world.dialler.wanted, other)
    await world.gateways[0].start()
    await until(world.whole, "its tunnels")
    assert await is_served(world.gateways[0])


async def test_a_gateway_that_moved_is_dialled_at_once_and_its_open_flows_live(world: World) -> None:
    async with forwarder(world.gateways[0].tunnels) as way:
        await begin(world, gateway_1=way.port)
        before = await world.gateways[0].live_tunnels()
        async with open_flow(world.gateways[0]) as lives:
            world.follow()

            async def more() -> bool:
                return await world.gateways[0].live_tunnels() == 2 * before

            await until(more, "the tunnels to the new address")
            assert await lives()
        await way.close_all()
        await until(world.whole, "the new tunnels")
        assert await is_served(world.gateways[0])


async def test_one_lost_tunnel_is_replaced_and_the_others_live(world: World) -> None:
    async with forwarder(world.gateways[0].tunnels) as way:
        await begin(world, gateway_1=way.port)
        async with contextlib.AsyncExitStack() as stack:
            flows = [await stack.enter_async_context(open_flow(world.gateways[0])) for _ in range(8)]
            # Envoy sends all flows through one tunnel while that has room. Another is lost.
            assert way.passed() == world.dialler.wanted
            way.close_quietest()

            async def replaced() -> bool:
                # By a new line, or by Envoy itself, whose own timer may be quicker.
                alive = await line_tunnels(world.envoy)
                count = sum(number for line, number in alive.items() if line.startswith("gateway-1~"))
                return way.passed() > world.dialler.wanted and count >= world.dialler.wanted

            await until(replaced, "another tunnel")
            assert world.lines()[0] == "gateway-1~0", "the line that lives was kept"
            assert await asyncio.gather(*(lives() for lives in flows)) == [True] * len(flows)
        assert await is_served(world.gateways[0])


async def test_a_new_agent_keeps_the_lines_that_it_finds(world: World) -> None:
    await begin(world)
    await kill(world.gateways[0])
    await until(world.lost, "the loss noticed")
    await world.gateways[0].start()
    await until(world.whole, "the tunnels back")
    async with open_flow(world.gateways[0]) as lives:
        wanted = configuration(world.home, world.gateways, world.applications, version=9)
        lines = world.lines()
        assert "gateway-1~0" not in lines
        Dialler(world.home, world.envoy, WORKERS).follow(ServerConfiguration.decode(wanted))
        assert world.lines() == lines
        assert await lives()


class Forwarder:
    """Passes TCP connections on, so that single ones can be broken."""

    def __init__(self, target: int) -> None:
        self._target, self.port = target, 0
        # With the bytes that have passed
        self._open: dict[asyncio.StreamWriter, int] = {}
        self._passed = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open[writer] = 0
        self._passed += 1

        def count(length: int) -> None:
            self._open[writer] += length

        await asyncio.gather(_copy(reader, back, count), _copy(there, writer, count), return_exceptions=True)
        del self._open[writer]

    def passed(self) -> int:
        """How many connections there were so far."""
        return self._passed

    def close_quietest(self) -> None:
        """Break the one by which the fewest bytes have passed."""
        min(self._open, key=self._open.__getitem__).transport.abort()

    async def close_all(self) -> None:
        """Break every connection and take no more."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()


async def _copy(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    try:
        while data := await source.read(2**16):
            count(len(data))
            target.write(data)
            await target.drain()
    finally:
        target.close()


@contextlib.asynccontextmanager
async def forwarder(target: int) -> AsyncIterator[Forwarder]:
    made = Forwarder(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close_all()
