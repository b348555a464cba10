"""A gateway tells an account, and nobody else, what goes by it: as a PAC file, and for ``causeway connect``."""

import json
from collections.abc import Iterator

import pytest

from tests.edge.gateway_lab import INSTANCE, SESSION, GatewayLab, application, basic, connector, policy

pytestmark = pytest.mark.processes

THROUGH = "http://proxy.causeway.invalid"


@pytest.fixture
def gateway(shared: GatewayLab) -> Iterator[GatewayLab]:
    """The shared gateway with one application, whose connector is offline."""
    before = {name: shared.document[name] for name in ("applications", "connectors", "policies")}
    applications = {
        "pa-1": application("wiki.corp.example", "*.my_team.example", ports=((80, 80), (443, 443)))
    }
    shared.apply(applications=applications, connectors={"c1": connector()}, policies=[policy("1", "c1")])
    yield shared
    shared.apply(**before)


def get(
    gateway: GatewayLab, target: str, *headers: str, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{gateway.client_port}",
        *headers,
        "Connection: close",
    ]
    status, found, body, connection = gateway.send("\r\n".join([*lines, "", ""]).encode())
    with connection:
        while more := connection.recv(65536):
            body += more
    return status, found, body


def test_a_pac_file_is_served_straight_and_through_the_proxy(gateway: GatewayLab) -> None:
    bearer = f"Bearer {gateway.token()}"
    for target, header in (("/proxy.pac", "Authorization"), (f"{THROUGH}/proxy.pac", "Proxy-Authorization")):
        status, headers, body = get(gateway, target, f"{header}: {bearer}")
        assert status == 200, body
        assert headers["content-type"] == "application/x-ns-proxy-autoconfig"
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert f'"HTTPS 127.0.0.1:{gateway.client_port}"'.encode() in body
        assert b'"wiki.corp.example."' in body and b'"*.my_team.example."' in body


def test_causeway_connect_is_told_the_addresses(gateway: GatewayLab) -> None:
    status, _, body = get(
        gateway, f"{THROUGH}/addresses.json", f"Proxy-Authorization: Bearer {gateway.token()}"
    )
    assert status == 200
    cloud = {"address": "127.0.0.1", "ports": []}
    ports = [[80, 80], [443, 443]]
    wiki, team = ({"address": name, "ports": ports} for name in ("wiki.corp.example", "*.my_team.example"))
    assert json.loads(body) == {"addresses": [team, cloud, wiki]}


def test_without_the_account_nobody_is_told_anything(gateway: GatewayLab) -> None:
    status, headers, body = get(gateway, "/proxy.pac")
    assert (status, headers["www-authenticate"]) == (401, 'basic realm="causeway"')
    assert b"wiki" not in body
    assert get(gateway, "/proxy.pac", f"Authorization: {basic('x')}")[0] == 401
    assert get(gateway, f"{THROUGH}/proxy.pac")[0] == 407
    assert get(gateway, f"{THROUGH}/addresses.json")[0] == 407
    expired = f"Authorization: Bearer {gateway.token(seconds=-5)}"
    assert get(gateway, "/proxy.pac", expired)[0] == 401


def test_an_ended_session_and_one_of_a_stopped_instance_are_told_why(gateway: GatewayLab) -> None:
    bearer = f"Authorization: Bearer {gateway.token()}"
    instances = gateway.document["instances"]
    try:
        gateway.apply(instances={INSTANCE: instances[INSTANCE] | {"active": False}})
        status, headers, _ = get(gateway, "/proxy.pac", bearer)
        assert (status, headers["x-causeway-reason"]) == (403, "instanceinactive")
        gateway.apply(instances=instances, ended_sessions={SESSION: "kicked"})
        status, headers, _ = get(gateway, "/proxy.pac", bearer)
        assert (status, headers["x-causeway-reason"]) == (401, "sessionended")
    finally:
        gateway.apply(instances=instances, ended_sessions={})


@pytest.mark.parametrize(
    ("target", "method", "expected"),
    [
        ("/", "GET", 400),
        ("/proxy.pac", "POST", 400),
        ("/proxy.pac/x", "GET", 400),
        (f"{THROUGH}/x", "GET", 403),
    ],
)
def test_a_gateway_is_no_web_server_beyond_that(
    gateway: GatewayLab, target: str, method: str, expected: int
) -> None:
    token = gateway.token()
    headers = (f"Authorization: Bearer {token}", f"Proxy-Authorization: Bearer {token}", "Content-Length: 0")
    assert get(gateway, target, *headers, method=method)[0] == expected
