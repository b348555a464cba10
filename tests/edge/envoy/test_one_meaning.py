"""What a gateway decides of an address, the connector's server does: through real Envoys to an origin and back."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.access.hosts import HostInvalid, parse_address
from tests import addresses
from tests.edge.gateway_connector import ConnectorServer
from tests.edge.gateway_lab import CONNECTOR, GatewayLab, application, connector, policy, wait_until
from tests.edge.plain_lab import SERVER, Origin, Plain, connect, failure, get
from tests.pipe_tls import open_tls

pytestmark = [pytest.mark.processes, pytest.mark.slow]

ADDRESSES = 25
FIRST = "first.corp.example"


def accepted(text: str) -> str:
    """The one form of an address; empty when it is refused."""
    try:
        return parse_address(text)
    except HostInvalid:
        return ""


def asked(gateway: GatewayLab, request: bytes) -> tuple[int, str, str]:
    head, _, rest = request.partition(b"\r\n\r\n")
    request = head + f"\r\nProxy-Authorization: Bearer {gateway.token()}\r\n\r\n".encode() + rest
    with open_tls(gateway.client_port, "http/1.1") as connection:
        connection.settimeout(50)
        connection.sendall(request)
        return failure(connection.recv(65536))


def test_every_spelling_of_an_address_reaches_its_origin(tmp_path: Path) -> None:
    @settings(
        max_examples=1, phases=[Phase.generate], suppress_health_check=[*HealthCheck], derandomize=False
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        typed = data.draw(st.lists(addresses.written(), min_size=ADDRESSES, max_size=ADDRESSES))
        stored = sorted(
            {found for found in map(accepted, typed) if found} | {"my_host.example", "*.my_x.example"}
        )
        with contextlib.closing(Origin(Plain)) as origin:
            reaches(stored, origin, data)

    def reaches(stored: list[str], origin: Origin, data: st.DataObject) -> None:
        gateway = GatewayLab(tmp_path)
        applications = {f"pa-{n}": application(each) for n, each in enumerate([FIRST, *stored])}
        servers = {SERVER: "enabled"}
        gateway.knows(
            connectors={CONNECTOR: connector(servers=servers)},
            applications=applications,
            policies=[policy("1", CONNECTOR)],
        )
        gateway.start()
        origins = dict.fromkeys([FIRST, *stored], f"127.0.0.1:{origin.port}")
        server = ConnectorServer(gateway, tmp_path, SERVER, CONNECTOR, origins)
        with contextlib.closing(gateway), contextlib.closing(server):
            wait_until(lambda: asked(gateway, get(FIRST))[0] == 200, "a tunnel", 60)
            for address in stored:
                host = data.draw(addresses.meant_by(address))
                expected = (200, "", "") if addresses.is_meant(address, host) else (403, "NoMatch", "")
                for request in (connect(f"{host}:80"), get(host)):
                    assert asked(gateway, request) == expected, (address, request)

    holds()
