"""One hostile client beside everybody else: pages answer, a switch cuts, a right password logs on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.demo import Demo, in_time, post, wait_until
from tests.hostile import beside

pytestmark = [
    pytest.mark.usefixtures("switched_on"),
    pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one loopback address"),
]
PATIENCE = 60
# Address from which the account has logged on before: guesses from elsewhere do not slow it.
ELSEWHERE = "127.0.0.60"


@pytest.fixture
def attacked(demo: Demo) -> Iterator[None]:
    """Log on from another address; then come slow bodies, silence and wrong log-ons, from 20 addresses."""
    account, ports = demo.account(), [demo.console, *(each["proxy"] for each in demo.world["gateways"])]
    silent = [f"--silent-at={url.rpartition(':')[2]}" for url in ports]
    guesses = ("--guesses=20", f"--account={account['instance']}/{account['username']}")
    assert logs_on(demo, ELSEWHERE) == 200
    with beside(demo.console, "--slow=200", "--silent=200", *silent, *guesses):
        yield


def logs_on(demo: Demo, address: str) -> int:
    """Log on with the right password from an address of this machine, and off again; return the status."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=demo.console, transport=transport, timeout=PATIENCE) as client:
        answer = client.post("/edge/v1/login", json=demo.account() | {"kind": "connect"})
        if answer.status_code == 200:
            client.post("/edge/v1/logout", json={"token": answer.json()["token"]}).raise_for_status()
    return answer.status_code


@pytest.mark.usefixtures("attacked")
def test_pages_cuts_and_log_ons_go_on(demo: Demo) -> None:
    client = demo.admin_client()
    try:
        assert client.get("/sase/connectors/").status_code == 200
        with demo.connect("echo.corp.example", 7) as flow:
            assert flow.status == 200
            post(client, f"/sase/connectors/{demo.connector()['id']}/disable/").raise_for_status()
            flow.socket.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                assert flow.socket.recv(1) == b"", "the flow is cut"
        # A moment's 503 says when to come again.
        assert in_time(lambda: logs_on(demo, ELSEWHERE), 200, PATIENCE) == 200
    finally:
        post(client, f"/sase/connectors/{demo.connector()['id']}/enable/")
        client.close()
    wait_until(lambda: demo.curl("http://wiki.corp.example/").status == 200, PATIENCE, what="the wiki")
