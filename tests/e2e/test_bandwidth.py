"""An account's bandwidth on the running demo: the last account of each instance has 2,000 kbit/s."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from tests.demo import Demo, Tunnel, post, wait_until

CAP_BYTES = 2_000 * 1000 / 8  # each second
SECONDS = 3.0
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def quiet(demo: Demo) -> Iterator[None]:
    with demo.quiet():
        yield


class Echoing:
    """Flow that sends, waits for the echo and sends again, and counts the bytes that come back.

    One thread a flow: two threads at one TLS socket stall each other.
    """

    def __init__(self, tunnel: Tunnel) -> None:
        self.received = 0
        self._tunnel, self._stream = tunnel, tunnel.socket
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError, ValueError):  # ValueError: read after another thread's shutdown
            while True:
                self._stream.sendall(bytes(16384))
                left = 16384
                while left:
                    data = self._stream.recv(left)
                    if not data:
                        return
                    left -= len(data)
                    self.received += len(data)

    def close(self) -> None:
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._tunnel.close()


@contextmanager
def echoing(demo: Demo, account: dict[str, Any], count: int = 1) -> Iterator[list[Echoing]]:
    echo = demo.application("echo")
    tunnels = [demo.connect(echo["host"], echo["port"], account=account, timeout=60) for _ in range(count)]
    assert [tunnel.status for tunnel in tunnels] == [200] * count
    flows = [Echoing(tunnel) for tunnel in tunnels]
    try:
        yield flows
    finally:
        for flow in flows:
            flow.close()


def most(began: float) -> float:
    """Return the most bytes that the cap lets through since then: a bucket holds the bytes of a second."""
    return CAP_BYTES * (time.monotonic() - began + 1) * 1.1


def keeps_to_its_cap(demo: Demo, account: dict[str, Any], count: int = 1) -> None:
    """Check that the cap's bytes of some seconds come back, and never more; a slow machine may take longer."""
    began = time.monotonic()
    with echoing(demo, account, count) as flows:
        wait_until(
            lambda: sum(flow.received for flow in flows) >= CAP_BYTES * (SECONDS + 1),
            50,
            what="as much as the cap lets through",
        )
        got = sum(flow.received for flow in flows)
        assert got < most(began)


def is_not_held(demo: Demo, account: dict[str, Any]) -> None:
    """Check that twice the bytes come back that the cap could have let through."""
    began = time.monotonic()
    with echoing(demo, account) as (flow,):
        wait_until(lambda: flow.received > 2 * most(began), 50, what="more than the cap lets through")


def test_an_account_keeps_to_its_bandwidth_with_all_of_its_flows(demo: Demo) -> None:
    keeps_to_its_cap(demo, demo.capped_account(), count=3)
    is_not_held(demo, demo.account())


def test_a_bandwidth_changed_in_the_console_holds_for_new_flows_at_once(demo: Demo) -> None:
    account = demo.capped_account()
    keeps_to_its_cap(demo, account)
    try:
        give(demo, account, 100_000)
        is_not_held(demo, account)
    finally:
        give(demo, account, 2_000)
    keeps_to_its_cap(demo, account)


def give(demo: Demo, account: dict[str, Any], kbps: int) -> None:
    """Change the bandwidth by the console's form, and wait until all gateways have heard of it."""
    query = "SELECT id, email FROM roaming_clientaccount WHERE username = ? AND instance_id = ?"
    ((key, email),) = demo.rows(query, account["username"], account["instance"])
    with closing(demo.admin_client()) as client:
        data = {"email": email, "bandwidth_kbps": str(kbps)}
        post(client, f"/sag/accounts/{key}/edit/", data).raise_for_status()
    ((version,),) = demo.rows("SELECT max(version) FROM console_configversion")
    behind = "SELECT 1 FROM console_gateway WHERE applied_version < ?"
    wait_until(lambda: not demo.rows(behind, version), 30, what="the gateways' confirmation")
