"""The guards of Envoy and its codecs that an honest crowd comes to: none may end what its flows share."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.crowd import GREETING, PATIENCE, Flow, Http2, Refused, by_forward
from tests.edge.crowd_world import NEIGHBOUR, TARGET, running
from tests.edge.gateway_lab import SESSION

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
# More than the resets that Envoy queues in a connection by itself
MANY = 1300


async def opened(client: Http2, count: int) -> list[Flow]:
    """So many open flows, each with its greeting read; what a loaded machine refuses is asked again."""
    flows: list[Flow] = []
    while len(flows) < count:
        wanted = min(20, count - len(flows))
        tried = await asyncio.gather(*(client.open() for _ in range(wanted)), return_exceptions=True)
        assert not [each for each in tried if not isinstance(each, Flow | Refused)], tried
        flows += [each for each in tried if isinstance(each, Flow)]
    assert all(each == GREETING for each in await asyncio.gather(*(flow.read() for flow in flows)))
    return flows


@pytest.mark.parametrize("who", ["application", "cut"])
async def test_thousands_of_flows_that_end_at_once_cost_no_tunnel(tmp_path: Path, who: str) -> None:
    # Two neighbours, so that one of them has the client's thread of the gateway, and with it its tunnel.
    async with (
        running(tmp_path) as world,
        world.http2() as client,
        world.http2(**NEIGHBOUR) as first,
        world.http2(**NEIGHBOUR) as second,
    ):
        neighbours = [*await opened(first, 1), *await opened(second, 1)]
        flows, before = await opened(client, MANY), await world.ended_tunnels()
        if who == "cut":
            cut = await asyncio.to_thread(world.gateway.apply, ended_sessions={SESSION: "kicked"})
            # On a loaded machine also flows that were let in too late, and asked for again
            assert cut["cut"] >= MANY, cut
        else:
            server = world.server.envoy()
            assert server
            os.kill(server.pid, signal.SIGSTOP)  # so that it sees them all in one turn
            for writer in list(world.connections)[len(neighbours) :]:
                writer.close()
            os.kill(server.pid, signal.SIGCONT)
        await asyncio.gather(*(flow.read() for flow in flows))
        assert [await flow.beats() for flow in neighbours] == [True, True]
        assert not client.ended
        assert await world.ended_tunnels() == before


async def test_of_flows_that_their_application_ends_nothing_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        opener = by_forward(world.forward)
        lasting = await opener()
        assert await lasting.read() == GREETING
        (its,) = world.connections
        for _ in range(5):
            flows = await asyncio.gather(*(opener() for _ in range(20)))
            assert all(each == GREETING for each in await asyncio.gather(*(flow.read() for flow in flows)))
            for writer in set(world.connections) - {its}:
                writer.close()
            assert not any(await asyncio.gather(*(flow.read() for flow in flows)))
            await asyncio.gather(*(flow.close() for flow in flows))
        async with asyncio.timeout(PATIENCE):
            while await world.kept_streams() != [1, 1]:
                assert await lasting.beats()


NO_HTTP: dict[str, list[tuple[str, str]]] = {
    "no authority": [(":method", "CONNECT")],
    "an empty authority": [(":method", "CONNECT"), (":authority", "")],
    "a capital": [(":method", "CONNECT"), (":authority", TARGET), ("Capital", "1")],
    "connection": [(":method", "CONNECT"), (":authority", TARGET), ("connection", "close")],
    "an empty path": [(":method", "GET"), (":authority", TARGET), (":scheme", "http"), (":path", "")],
    "no method": [("host", TARGET)],
}


async def test_a_request_that_is_no_http_ends_no_other_flow(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.http2() as client:
        (flow,) = await opened(client, 1)
        for name, head in NO_HTTP.items():
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    await client.ask(*head)
            assert await flow.beats(), name
            (other,) = await opened(client, 1)
            assert await other.beats(), name
        assert not client.ended


async def test_a_client_may_report_each_small_read_and_write_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.http2() as client:
        flow, other = await opened(client, 2)
        for _ in range(20):
            await flow.write(b"")
        for _ in range(100):
            client.acknowledge(1)
        assert await flow.beats() and await other.beats()
        assert not client.ended
