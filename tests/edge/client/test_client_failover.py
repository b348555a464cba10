"""The Envoy of ``causeway connect`` with two gateways: the first is preferred, the second takes over."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

import pytest

from edge.client.gateways import nearest_first
from edge.client.watch import RefusalLog
from edge.envoy.client import TOKEN_FILE, Forward, bootstrap, token_file
from edge.home import Home
from tests.edge.gateway_lab import GATEWAY, INSTANCE, SESSION, Echo, GatewayLab, wait_until
from tests.pipe import Cell, Origin, Plain, Proxied, measure, take
from tests.ports import free_port
from tests.quiet import Service

pytestmark = pytest.mark.processes


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[tuple[GatewayLab, GatewayLab]]:
    """Two gateways of one console: what one signed, the other knows."""
    with closing(GatewayLab(tmp_path / "1")) as first, closing(GatewayLab(tmp_path / "2")) as second:
        second.signer, second.authority = first.signer, first.authority
        second.authority.gateway(second.home, GATEWAY)
        second.knows(session_keys=first.document["session_keys"])
        first.start()
        second.start()
        yield first, second
        if envoy := first.envoy():
            envoy.resume()


def forwarded(port: int) -> bytes:
    """What a flow through a port forward brings back; empty when it was refused."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"hello")
        try:
            return connection.recv(100)
        except ConnectionResetError:
            return b""


def flow(port: int, echo: Echo) -> str:
    """The status of a new flow that then echoes; empty when it ends before."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"CONNECT {echo.target} HTTP/1.1\r\nHost: {echo.target}\r\n\r\n".encode())
        status = connection.recv(65536).decode()[9:12]
        if status == "200":
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
        return status


def connections(lab: GatewayLab) -> int:
    """How many clients are connected to a gateway's Envoy."""
    envoy = lab.envoy()
    assert envoy is not None
    return sum(c.laddr.port == lab.client_port and c.status == "ESTABLISHED" for c in envoy.net_connections())


async def flows(port: int, echo: Echo, count: int) -> set[str]:
    """The statuses of new flows, one after the other."""
    return {await asyncio.to_thread(flow, port, echo) for _ in range(count)}


async def all_forwarded(port: int, count: int) -> bool:
    return all([await asyncio.to_thread(forwarded, port) == b"hello" for _ in range(count)])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_gateway_that_dies_or_hangs_loses_no_new_flow(
    labs: tuple[GatewayLab, GatewayLab], echo: Echo, tmp_path: Path, number: signal.Signals
) -> None:
    first, second = labs
    forward = Forward("127.0.0.1", free_port(), echo.host, echo.port)
    both = [first.url, second.url]
    async with first.running_client(tmp_path / "client", forward, gateways=both) as port:
        assert await flows(port, echo, 5) == {"200"}
        assert await all_forwarded(forward.port, 5)
        assert (connections(first), connections(second)) == (2, 0), "the first is preferred"
        if number == signal.SIGKILL:
            first.kill_agent()  # or it would start Envoy again
        os.kill(first.envoy().pid, number)  # type: ignore[union-attr]
        assert await flows(port, echo, 20) == {"200"}
        assert await all_forwarded(forward.port, 20)
        assert connections(second) == 2


async def test_applications_that_reset_cost_the_only_living_gateway_no_flow(
    lab: GatewayLab, echo: Echo, tmp_path: Path
) -> None:
    """Envoy passes a gateway over for a while when a flow by it is reset; none is left then that lives."""
    gateways = [lab.url, f"https://127.0.0.1:{free_port()}"]
    with closing(Origin("127.0.0.1")) as origin:
        async with lab.running_client(tmp_path / "client", gateways=gateways) as port:
            for _ in range(40):
                reset = partial(Proxied, port, f"127.0.0.1:{origin.port}")
                measure(origin, reset, Cell("app resets", 1000))
                assert flow(port, echo) == "200"


async def test_a_forward_takes_the_next_gateway_after_a_refusal_and_the_proxy_stays(
    labs: tuple[GatewayLab, GatewayLab], echo: Echo, tmp_path: Path
) -> None:
    first, second = labs
    allowed = first.document["instances"]
    first.apply(instances={INSTANCE: allowed[INSTANCE] | {"cloud_networks": []}})
    local, denied = free_port(), free_port()
    forwards = [
        Forward("127.0.0.1", local, echo.host, echo.port),
        Forward("127.0.0.1", denied, "nothing.corp.example", 22),
    ]
    both = [first.url, second.url]
    async with first.running_client(tmp_path / "client", *forwards, gateways=both) as port:
        assert await all_forwarded(local, 5)
        first.apply(instances=allowed)
        assert await asyncio.to_thread(forwarded, denied) == b"", "nobody lets it pass"
        # Both gateways have refused it, so that for some seconds either may get what is asked next.
        assert await all_forwarded(local, 5)
        assert await flows(port, echo, 1) == {"200"}
        assert connections(first) == 2, "to the proxy the first gateway is as good as before"
    log = RefusalLog(tmp_path / "client")
    told = [(refusal.host, refusal.reason, refusal.status) for refusal in log.new()]
    assert told == [("nothing.corp.example:22", "NoMatch", 403)]


async def test_the_proxy_takes_the_next_gateway_when_one_cannot_decide(
    labs: tuple[GatewayLab, GatewayLab], echo: Echo, tmp_path: Path
) -> None:
    first, second = labs
    async with first.running_client(tmp_path / "client", gateways=[first.url, second.url]) as port:
        first.kill_agent()
        assert await flows(port, echo, 5) == {"200"}
        second.kill_agent()
        assert await flows(port, echo, 1) == {"503"}
    (told,) = RefusalLog(tmp_path / "client").new()
    assert (told.host, told.reason, told.part) == (echo.target, "GatewayAgentDown", "gateway")


async def test_a_forward_shows_the_renewed_token_and_a_cut_reaches_it_as_an_error(
    lab: GatewayLab, echo: Echo, tmp_path: Path
) -> None:
    process, local, home = lab.client(tmp_path / "client"), free_port(), Home(tmp_path / "client")
    home.write_atomic(TOKEN_FILE, token_file("not a token"))
    await process.start(bootstrap(None, [Forward("127.0.0.1", local, echo.host, echo.port)], [lab.url]))
    try:
        assert await asyncio.to_thread(forwarded, local) == b""
        home.write_atomic(TOKEN_FILE, token_file(lab.token()))
        await asyncio.to_thread(wait_until, lambda: forwarded(local), "a flow by the new token")
        with socket.create_connection(("127.0.0.1", local), timeout=30) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
            # The gateway may still be at the end of the flow before it.
            assert lab.apply(ended_sessions={SESSION: "kicked"})["cut"] >= 1
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
    finally:
        await process.stop()


async def test_the_first_gateway_that_answers_is_preferred() -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"https://127.0.0.1:{server.getsockname()[1]}"
        assert await nearest_first([gone, here]) == ([here, gone], True)
    assert await nearest_first([gone]) == ([gone], False)


async def test_a_gateway_that_drains_is_used_when_no_other_answers() -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        draining, here = (f"https://127.0.0.1:{each.getsockname()[1]}" for each in (first, second))
        found = await nearest_first([draining, gone, here], last={draining})
        assert found == ([here, draining, gone], True)
        assert await nearest_first([draining, gone], last={draining}) == ([draining, gone], True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("victim", ["gateway", "client"])
@pytest.mark.parametrize("way", ["forward", "proxy"])
async def test_when_an_envoy_ends_nobody_takes_what_came_for_all(
    lab: GatewayLab, tmp_path: Path, way: str, victim: str, number: signal.Signals
) -> None:
    """Envoy and the system would end the connections as if all had come; bytes may well have been under way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        forward = Forward("127.0.0.1", free_port(), "127.0.0.1", server.getsockname()[1])
        async with lab.running_client(tmp_path / "client", forward) as port:
            with opened(way, forward, port) as flow, server.accept()[0] as application:
                application.settimeout(30)
                flow.send(b"half of it")
                application.sendall(b"half of that")
                assert application.recv(100) == b"half of it" and flow.receive() == b"half of that"
                end(lab, tmp_path, victim, number)
                with pytest.raises(ConnectionResetError):
                    flow.receive()
                with pytest.raises(ConnectionResetError):
                    application.recv(100)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("victim", ["gateway", "client"])
async def test_when_an_envoy_ends_an_answer_without_a_length_does_not_look_complete(
    lab: GatewayLab, tmp_path: Path, victim: str, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with lab.running_client(tmp_path / "client") as port:
            with Plain(port) as flow:
                flow.send(b"GET http://127.0.0.1:%d/ HTTP/1.0\r\n\r\n" % server.getsockname()[1])
                application = server.accept()[0]
                application.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf of that")
                answer = b""
                while not answer.endswith(b"half of that"):
                    answer += flow.receive()
                with application:
                    end(lab, tmp_path, victim, number)
                    with pytest.raises(ConnectionResetError):
                        flow.receive()


def opened(way: str, forward: Forward, proxy: int) -> Plain:
    """A flow to where the forward leads: by the forward, or by the local proxy."""
    return Plain(forward.port) if way == "forward" else Proxied(proxy, f"127.0.0.1:{forward.target}")


def end(lab: GatewayLab, folder: Path, victim: str, number: signal.Signals) -> None:
    """Send a signal to the Envoy of the gateway or of the client."""
    if victim == "gateway":
        lab.kill_agent()  # or it would start Envoy again
    home = lab.home.file("envoy") if victim == "gateway" else folder / "client"
    os.kill(json.loads((home / "envoy.pid").read_text())["pid"], number)


class Ends(Service):
    """An application that reads to the end of each connection, and notes which were clean ends."""

    def __init__(self) -> None:
        self.heard: list[socket.socket] = []
        self.clean: list[socket.socket] = []
        self.reset: list[socket.socket] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        try:
            connection.recv(65536)
            self.heard.append(connection)
            while connection.recv(65536):
                pass
            self.clean.append(connection)
        except OSError:
            self.reset.append(connection)


@pytest.mark.parametrize("victim", ["gateway", "client"])
async def test_no_flow_in_full_flight_ends_well_when_an_envoy_is_stopped(
    lab: GatewayLab, tmp_path: Path, victim: str
) -> None:
    """An Envoy that is told to end ends its streams by itself; nobody may take that for the other side's end."""
    application, local = Ends(), free_port()
    forward = Forward("127.0.0.1", local, "127.0.0.1", application.port)
    with ExitStack() as stack, closing(application):
        async with lab.running_client(tmp_path / "client", forward):
            flows = [stack.enter_context(Plain(local)) for _ in range(12)]
            threads = [threading.Thread(target=_send_for_ever, args=(flow,), daemon=True) for flow in flows]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(application.heard) == len(flows), "bytes of all flows")
            end(lab, tmp_path, victim, signal.SIGTERM)
            for thread in threads:
                thread.join(30)
            wait_until(
                lambda: len(application.clean + application.reset) == len(flows), "the end of all flows"
            )
            assert application.clean == []


def _send_for_ever(flow: Plain) -> None:
    with suppress(OSError):
        while True:
            flow.send(bytes(4096))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("way", ["forward", "proxy"])
async def test_what_a_slow_reader_has_not_taken_yet_is_not_lost_without_a_word(
    lab: GatewayLab, tmp_path: Path, way: str, number: signal.Signals
) -> None:
    """The application has ended, and its last bytes lie in the Envoy that ends."""
    size = 6_000_000
    with closing(Origin("127.0.0.1")) as application:
        forward = Forward("127.0.0.1", free_port(), "127.0.0.1", application.port)
        async with lab.running_client(tmp_path / "client", forward) as port:
            with opened(way, forward, port) as flow:
                flow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
                flow.send(f"app_half-closes {way}{number} {size} 0\n".encode())
                assert application.heard(f"{way}{number}")
                time.sleep(1)  # whatever can be under way is
                end(lab, tmp_path, "client", number)
                seen = take(flow.receive)
            assert seen.end != "fin" or seen.count == size
