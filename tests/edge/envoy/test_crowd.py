"""A crowd of short flows costs nobody a flow: neither a tunnel nor a client's connection ends for it."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from edge.gateway.pace import BUSY_SECONDS
from edge.protocol.codes import Code
from tests.crowd import Http2, Opener, by_connect, by_forward, crowd, long_flows, reset_rapidly
from tests.edge.crowd_world import NEIGHBOUR, TARGET, World, running

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def ways(world: World, http2: Http2) -> dict[str, tuple[Opener, int]]:
    """Each way with how many flows make a crowd there: beyond what nghttp2 would have taken in a burst."""
    gateway, token = world.gateway, f"Bearer {world.gateway.token()}"
    return {
        "forward": (by_forward(world.forward), 2500),
        "proxy": (by_connect("127.0.0.1", world.proxy, TARGET), 1500),
        "HTTP/2": (http2.open, 1500),
        "HTTP/1.1": (by_connect("127.0.0.1", gateway.client_port, TARGET, token, world.tls("http/1.1")), 300),
    }


async def test_of_a_crowd_every_flow_brings_its_byte_and_long_flows_and_tunnels_live(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.http2() as http2, world.http2(**NEIGHBOUR) as other:
        before = await world.ended_tunnels()
        for name, (opener, count) in ways(world, http2).items():
            async with long_flows(opener, 5), long_flows(other.open, 5):
                outcome = await crowd(opener, count, 64)
            assert not outcome.lost, f"{name}: {outcome}"
            assert outcome.whole + outcome.refused[Code.TOO_MANY_FLOWS] == count, f"{name}: {outcome}"
        assert await world.ended_tunnels() == before


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
async def test_who_resets_without_end_is_held_back_and_the_neighbours_flows_live(tmp_path: Path) -> None:
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


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
async def test_a_busy_gateway_holds_back_who_opens_most(tmp_path: Path) -> None:
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
        assert not outcome.lost and set(outcome.refused) == {Code.TOO_MANY_FLOWS}, outcome
        assert outcome.whole >= 10, outcome
        assert (await crowd(greedy.open, 1, 1)).whole == 1, "it keeps up again"
