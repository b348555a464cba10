"""Probes of the way to a gateway and of destinations, over real sockets."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edge.gateway.echo import EchoResponder
from edge.protocol import echo
from edge.protocol.configuration import OwnConnector, ServedApplication, Server, ServerConfiguration
from edge.protocol.reports import Destination, Path
from edge.server.probes import GatewayProbe, Probes, targets_of
from tests.edge.connector_lab import beside, until
from tests.ports import free_port

KEY = bytes(range(32))
NOW = 1_800_000_000.0


def an_hour_ago() -> float:
    return time.time() - 3600


@contextlib.asynccontextmanager
async def responder(
    port: int, key: bytes = KEY, clock: Callable[[], float] = time.time
) -> AsyncIterator[None]:
    gateway = SimpleNamespace(listen="127.0.0.1", tunnel_port=port, echo_key=key.hex())
    snapshot = SimpleNamespace(gateway=gateway, servers_version=42)
    state: Any = SimpleNamespace(snapshot=snapshot, clock=clock)
    async with beside(EchoResponder(state).run()):
        yield


@contextlib.asynccontextmanager
async def probing(
    port: int, key: bytes = KEY, now: Callable[[], float] = time.time
) -> AsyncIterator[GatewayProbe]:
    probe = GatewayProbe("gateway-1", "127.0.0.1", port, key, every=0.03, lost_after=0.1, tcp_every=0.1)
    probe.now = now
    async with beside(probe.run()):
        yield probe


async def taken(probe: GatewayProbe, wanted: Callable[[Path], bool]) -> Path:
    way: Path = await until(lambda: way if wanted(way := probe.take()) else None, "such a way")
    return way


# --- Datagrams --------------------------------------------------------------------------------------------------------


def test_an_answer_is_as_long_as_its_question_and_known_by_its_number() -> None:
    asked = echo.question(KEY, 7, NOW)
    answer = echo.answer(KEY, asked, NOW + 1)
    assert answer is not None and len(answer) == len(asked) == echo.SIZE
    assert echo.answered(KEY, answer) == (7, 0)
    told = echo.answer(KEY, asked, NOW + 1, news=42)
    assert told is not None and len(told) == echo.SIZE and echo.answered(KEY, told) == (7, 42)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        echo.question(b"another key", 7, NOW),
        echo.question(KEY, 7, NOW - 301),
        echo.question(KEY, 7, NOW + 301),
        echo.question(KEY, 7, NOW) + b"x",
        echo.question(KEY, 7, NOW)[:-1] + b"\0",
        echo.answer(KEY, echo.question(KEY, 7, NOW), NOW),
    ],
    ids=["nothing", "text", "foreign", "old", "future", "longer", "changed", "an answer"],
)
def test_what_is_no_fresh_question_gets_no_answer(data: bytes) -> None:
    assert echo.answer(KEY, data, NOW) is None


def test_without_a_key_nothing_is_answered() -> None:
    assert echo.answer(b"", echo.question(b"", 7, NOW), NOW) is None


# --- Gateways ---------------------------------------------------------------------------------------------------------


async def test_a_gateway_that_answers_has_a_latency_and_no_loss() -> None:
    port = free_port()
    async with responder(port), probing(port) as probe:
        await taken(probe, lambda way: way.by == "udp")
        way = await taken(probe, lambda way: way.latency_ms is not None)
        assert (way.by, way.loss_percent) == ("udp", 0)
        assert way.latency_ms is not None and 0 < way.latency_ms < 1000


async def test_both_sides_go_by_the_consoles_time_whatever_their_own_clocks_say() -> None:
    heard: list[int] = []

    port = free_port()
    async with responder(port, clock=an_hour_ago), probing(port, now=an_hour_ago) as probe:
        probe.news = heard.append
        await until(lambda: heard, "an answer")
    assert heard[0] == 42


async def test_a_gateway_says_with_its_answers_which_configuration_servers_should_work_by() -> None:
    heard: list[int] = []
    port = free_port()
    async with responder(port), probing(port) as probe:
        probe.news = heard.append
        await until(lambda: heard, "an answer")
        assert heard[0] == 42


async def test_a_gateway_that_went_away_loses_all_and_is_found_again() -> None:
    port = free_port()
    async with probing(port) as probe:
        async with responder(port):
            await taken(probe, lambda way: way.by == "udp")
        way = await taken(probe, lambda way: way.loss_percent == 100)
        assert way.latency_ms is None
        async with responder(port):
            await taken(probe, lambda way: way.latency_ms is not None and way.by == "udp")


@pytest.mark.parametrize("key", [KEY, b""], ids=["UDP does not pass", "a console without keys"])
async def test_where_udp_does_not_pass_latency_is_by_tcp_and_loss_not_measured(key: bytes) -> None:
    port = free_port()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with server, probing(port, key) as probe:
        way = await taken(probe, lambda way: way.by == "tcp")
        assert way.latency_ms is not None and way.loss_percent is None


async def test_of_a_gateway_that_never_answered_nothing_is_claimed() -> None:
    async with probing(free_port()) as probe:
        await until(lambda: probe._tcp_answers is False, "an attempt by TCP")
        assert probe.take() == Path("gateway-1", None, None, "")


def test_a_sample_gets_the_worst_way() -> None:
    probes = Probes()
    ways = [Path("a", 3.0, 0.0, "udp"), Path("b", 80.0, None, "tcp"), Path("c", None, 100.0, "udp")]
    probes._gateways = {way.gateway: (SimpleNamespace(take=lambda way=way: way), None) for way in ways}  # type: ignore[misc]
    assert probes.take() == {"latency_ms": 80.0, "loss_percent": 100.0}
    assert [path.gateway for path in probes.ways] == ["a", "b", "c"]


# --- Destinations -----------------------------------------------------------------------------------------------------


def application(
    addresses: list[str], ports: list[tuple[int, int]], origin: str | None = None
) -> ServedApplication:
    return ServedApplication("app", "App", addresses, ports, origin)


def test_only_single_hosts_are_destinations() -> None:
    found = targets_of(
        [
            application(
                ["*.corp.example", "wiki.corp.example", "10.0.0.0/8", "10.1.2.3", "10.1.2.4/32"], [(80, 90), (443, 443)]
            ),
            application(["*.b.example"], [(1, 65535)], origin="192.0.2.1:8080"),
            application(["c.example"], [(22, 22)], origin="[2001:db8::1]:2222"),
            application(["d.example"], [(22, 22)], origin="d.internal"),
        ]
    )  # fmt: skip
    assert [(host, port) for _, host, port in found] == [
        ("wiki.corp.example", 80), ("wiki.corp.example", 443), ("10.1.2.3", 80), ("10.1.2.3", 443),
        ("10.1.2.4", 80), ("10.1.2.4", 443), ("192.0.2.1", 8080), ("2001:db8::1", 2222), ("d.internal", 22),
    ]  # fmt: skip


async def test_destinations_are_tried_and_told_and_forgotten_when_switched_off() -> None:
    open_port, closed_port = free_port(), free_port()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", open_port)
    applications = [
        application(["x"], [(1, 1)], origin=f"127.0.0.1:{port}") for port in (open_port, closed_port)
    ]
    connector = OwnConnector("connector-1", "office", True)
    wanted = ServerConfiguration(
        version=1,
        server=Server("server-1", True),
        connector=connector,
        gateways=(),
        applications=applications,
    )
    probes = Probes()
    probes.follow(wanted)
    async with server, beside(probes.run()):
        found: list[Destination] = await until(lambda: probes.destinations, "the destinations")
    assert [(each.port, each.reached) for each in found] == [(open_port, True), (closed_port, False)]
    assert found[0].milliseconds is not None and found[1].milliseconds is None
    probes.follow(msgspec.structs.replace(wanted, server=Server("server-1", False)))
    assert (probes.ways, probes.destinations) == ([], [])
