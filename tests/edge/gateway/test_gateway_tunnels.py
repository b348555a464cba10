"""Flows through connectors: a real gateway, real connector servers that dial it, an echo service behind them."""

import json
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.edge.gateway_connector import ConnectorServer
from tests.edge.gateway_lab import (
    ACCOUNT,
    CONNECTOR,
    Echo,
    GatewayLab,
    application,
    connector,
    echoes,
    policy,
    records,
    wait_until,
)

pytestmark = pytest.mark.processes

HOST = "echo.corp.example"
TARGET = f"{HOST}:80"
SERVERS = ("server-00000000000000f1", "server-00000000000000f2")


def connectors(*, enabled: bool = True, first: bool = True, second: bool = True) -> dict[str, Any]:
    return {CONNECTOR: connector(enabled=enabled, servers={SERVERS[0]: first, SERVERS[1]: second})}


class Office:
    """A gateway that lets one account reach the echo service through the connector's servers."""

    def __init__(self, path: Path, echo: Echo) -> None:
        self.path, self.echo = path, echo
        self.gateway = GatewayLab(path)
        self.servers: list[ConnectorServer] = []
        chosen = {"users": "selected", "groups": ["usergroup-1"]}
        chosen |= {"applications": "selected", "application_ids": ["pa-application-1"]}
        self.gateway.knows(
            connectors=connectors(),
            applications={"pa-application-1": application(HOST)},
            groups={"usergroup-1": [ACCOUNT]},
            policies=[policy("1", CONNECTOR, **chosen)],
        )

    def serve(self, *names: str, port: int | None = None) -> None:
        """Start servers and wait for their tunnels. ``port``: of another application than the echo service."""
        origin = f"127.0.0.1:{port or self.echo.port}"
        self.servers += [
            ConnectorServer(self.gateway, self.path, name, CONNECTOR, {HOST: origin}) for name in names
        ]
        wait_until(lambda: set(names) <= set(self.tunnels()), lambda: f"tunnels of {names}: {self.log()}", 30)

    def log(self) -> str:
        return self.gateway.log.read_text()[-3000:]

    def tunnels(self) -> dict[str, int]:
        """As the agent last logged them."""
        found = re.findall(r"live tunnels: (\{.*\})", self.gateway.log.read_text())
        return json.loads(found[-1].replace("'", '"')) if found else {}

    def flow(self) -> ssl.SSLSocket:
        return self.gateway.tunnel(TARGET)

    def refusal(self) -> tuple[int, str]:
        return self.gateway.verdict(TARGET)

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.gateway.close()


@pytest.fixture
def office(tmp_path: Path, echo: Echo) -> Iterator[Office]:
    with closing(Office(tmp_path, echo)) as place:
        place.gateway.start()
        yield place


def test_switching_a_connector_off_cuts_its_flows_and_on_lets_them_in_again(office: Office) -> None:
    assert office.refusal() == (503, "connectoroffline")
    office.serve(SERVERS[0])
    flow = office.flow()
    assert echoes(flow, b"x" * 200_000)
    assert office.gateway.apply(connectors=connectors(enabled=False)) == {"cut": 1}
    assert not echoes(flow)
    assert office.refusal() == (403, "connectordisabled")
    office.gateway.apply(connectors=connectors())
    assert echoes(office.flow())


def test_a_server_that_the_console_does_not_list_gets_no_tunnel(office: Office) -> None:
    office.gateway.apply(connectors=connectors(first=False))
    origin = f"127.0.0.1:{office.echo.port}"
    office.servers.append(ConnectorServer(office.gateway, office.path, SERVERS[0], CONNECTOR, {HOST: origin}))
    wait_until(
        lambda: f"tunnel is refused: server '{SERVERS[0]}'" in office.gateway.log.read_text(), office.log
    )
    assert office.tunnels() == {}
    assert office.refusal() == (503, "connectoroffline")


def test_disabling_one_server_cuts_its_flows_only(office: Office) -> None:
    office.serve(*SERVERS)
    flows = [office.flow() for _ in range(8)]
    assert all(echoes(flow) for flow in flows)
    # The access log tells which server carries a flow; before that the gateway would cut more than it must.
    wait_until(lambda: len(records(office.gateway)) == len(flows), "a record of every flow")
    cut = office.gateway.apply(connectors=connectors(second=False))["cut"]
    alive = [flow for flow in flows if echoes(flow)]
    assert len(alive) == len(flows) - cut
    assert 0 < cut < len(flows)
    for _ in range(10):  # the disabled server's tunnels are still up: nothing new may go there
        assert echoes(office.flow())
    assert office.gateway.apply(connectors=connectors(first=False, second=False))["cut"] == len(alive) + 10


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_application_does_not_take_for_all_what_came_before_its_server_ended(
    office: Office, number: signal.Signals
) -> None:
    """A server that is switched off tells its Envoy to end; the client's bytes may well have been under way."""
    with closing(socket.create_server(("127.0.0.1", 0))) as application:
        office.serve(SERVERS[0], port=application.getsockname()[1])
        with office.flow() as flow:
            flow.sendall(b"half of it")
            connection = application.accept()[0]
            while not (received := connection.recv(100)):  # the server looks whether it is there
                connection.close()
                connection = application.accept()[0]
            connection.settimeout(30)
            assert received == b"half of it"
            flow.suppress_ragged_eofs = False  # type: ignore[attr-defined]
            envoy = office.servers[0].envoy()
            assert envoy is not None
            envoy.send_signal(number)
            with closing(connection), pytest.raises(ConnectionResetError):
                connection.recv(100)
            with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
                flow.recv(100)


def test_no_new_flow_is_lost_when_one_of_two_servers_is_killed(office: Office) -> None:
    office.serve(*SERVERS)
    for _ in range(20):
        flow = office.flow()
        assert echoes(flow)
        flow.close()
    office.servers[0].kill()
    failed = 0
    for _ in range(200):
        flow = office.flow()
        failed += not echoes(flow)
        flow.close()
    assert failed == 0
    wait_until(lambda: set(office.tunnels()) == {SERVERS[1]}, office.log)
    office.servers[1].kill()
    wait_until(lambda: office.tunnels() == {}, office.log)
    assert office.refusal() == (503, "connectoroffline")
