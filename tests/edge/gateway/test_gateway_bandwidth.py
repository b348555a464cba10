"""Bandwidth caps with a real Envoy. Bounds are wide here; how exact they are is measured by ``make bench``.

Never more than a cap lets through is what is promised; how long as much takes is up to the machine, and not judged.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.access.snapshot import Snapshot
from edge.envoy.process import EnvoyProcess
from edge.gateway.bandwidth import Bandwidth, NoBandwidth, kibibytes
from edge.gateway.flows import Flows
from edge.gateway.state import GatewayState
from edge.protocol.configuration import GatewayConfiguration
from edge.protocol.identity import SessionIdentity
from tests.edge.gateway_lab import ACCOUNT, INSTANCE, GatewayLab, snapshot_document, wait_until
from tests.edge.gateway_pki import TokenSigner
from tests.pipe_tls import Http2
from tests.quiet import Service

pytestmark = pytest.mark.processes

CAP = 800  # kbit/s
RATE = CAP / 8 * 1000  # bytes a second
SECONDS = 4.0


class Peer(Service):
    """Takes every byte a client sends and counts it; or, asked with ``d``, sends for ever."""

    def __init__(self) -> None:
        self.received = 0
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if connection.recv(1) == b"d":
                while True:
                    connection.sendall(bytes(65536))
            while data := connection.recv(65536):
                with self._lock:
                    self.received += len(data)


class Load:
    """Flows that send, or receive, as fast as they may, each in a thread, until ``stop``."""

    def __init__(self, flows: list[ssl.SSLSocket], direction: bytes) -> None:
        self.received = 0
        self._flows = flows
        self._direction, self._stopped, self._lock = direction, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(flow,), daemon=True) for flow in flows]
        for thread in self._threads:
            thread.start()

    def _run(self, flow: ssl.SSLSocket) -> None:
        with suppress(OSError, ValueError):  # a value error: read after another thread's shutdown
            flow.settimeout(30)
            flow.sendall(self._direction)
            while not self._stopped.is_set():
                if self._direction == b"d":
                    data = flow.recv(65536)
                    with self._lock:
                        self.received += len(data)
                else:
                    flow.sendall(bytes(16384))

    def stop(self) -> None:
        """Closing a socket under a thread that uses it would hand its number, and the bytes, to the next one."""
        self._stopped.set()
        for flow, thread in zip(self._flows, self._threads, strict=True):
            with suppress(OSError):
                flow.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            flow.close()


@contextmanager
def loaded(flows: list[ssl.SSLSocket], direction: bytes = b"d") -> Iterator[Load]:
    load = Load(flows, direction)
    try:
        yield load
    finally:
        load.stop()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A new one for each test: what an earlier flow left in Envoy's buffers still arrives at its own."""
    with closing(Peer()) as service:
        yield service


@pytest.fixture
def lab(shared: GatewayLab) -> Iterator[GatewayLab]:
    """The module's gateway; whatever a test sets there is gone afterwards."""
    yield shared
    shared.apply(bandwidth={})


def flows(lab: GatewayLab, peer: Peer, count: int, *, account: str, **token: Any) -> list[ssl.SSLSocket]:
    """Open flows of one session of the account."""
    session = account.replace("user", "session")
    return [
        lab.tunnel(f"127.0.0.1:{peer.port}", session=session, account=account, **token) for _ in range(count)
    ]


def most(began: float, rate: float = RATE) -> float:
    """What a cap may have let through since then: a bucket holds what one second brings."""
    return rate * (time.monotonic() - began + 1) * 1.1


def keeps_to_its_cap(count: Callable[[], int], began: float, rate: float = RATE) -> bool:
    """Whether as much arrives as the cap lets through within some seconds, and no more than since ``began``."""
    wait_until(lambda: count() >= rate * (SECONDS + 1), "as much as the cap lets through", 50)
    got = count()
    return got < most(began, rate)


def is_not_held(count: Callable[[], int], began: float) -> None:
    """Twice what the cap could have let through."""
    wait_until(lambda: count() > 2 * most(began), "more than the cap lets through")


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("direction", [b"u", b"d"])
def test_all_flows_of_an_account_together_keep_to_its_cap(
    lab: GatewayLab, peer: Peer, direction: bytes, count: int
) -> None:
    account, began = f"user-0000000000{direction.hex()}{count:04}", time.monotonic()
    with loaded(flows(lab, peer, count, account=account, bw=CAP), direction) as load:
        assert keeps_to_its_cap(lambda: load.received if direction == b"d" else peer.received, began)


@pytest.mark.parametrize("after", [0.0, 0.4], ids=["at once", "while the client sends"])
def test_what_a_client_sends_when_the_application_has_ended_arrives(lab: GatewayLab, after: float) -> None:
    """An account's bandwidth holds nothing back then: Envoy would take the stream for done, and crash (requests.c)."""
    envoy, size, arrived = lab.envoy(), 3_000_000, 0
    assert envoy is not None
    with socket.create_server(("127.0.0.1", 0)) as application:
        authority = f"127.0.0.1:{application.getsockname()[1]}"
        flow = Http2(lab.client_port, authority, f"Bearer {lab.token(bw=16_000)}")
        connection, _ = application.accept()
    with connection:
        connection.settimeout(50)

        def send() -> None:
            flow.send(bytes(size))
            flow.half_close()

        sending = threading.Thread(target=send)
        ending = threading.Timer(after, connection.shutdown, (socket.SHUT_WR,))
        for thread in (ending, sending) if after == 0 else (sending, ending):
            thread.start()
        while data := connection.recv(65536):
            arrived += len(data)
        sending.join()
        ending.join()
        assert flow.receive() == b""
    flow.close()
    assert arrived == size
    assert lab.envoy() == envoy


def test_other_accounts_are_not_held_by_it(lab: GatewayLab, peer: Peer) -> None:
    began = time.monotonic()
    with (
        loaded(flows(lab, peer, 1, account="user-00000000000000f1", bw=CAP)) as slow,
        loaded(flows(lab, peer, 1, account="user-00000000000000f2", bw=CAP * 1000)) as other,
        loaded(flows(lab, peer, 1, account="user-00000000000000f3")) as free,
    ):
        is_not_held(lambda: other.received, began)
        is_not_held(lambda: free.received, began)
        got = slow.received
        assert got < most(began)


def test_the_configuration_overrules_the_token_at_once(lab: GatewayLab, peer: Peer) -> None:
    account = "user-00000000000000f4"
    began = time.monotonic()
    with loaded(flows(lab, peer, 1, account=account, bw=CAP * 1000)) as first:
        is_not_held(lambda: first.received, began)
        # Lowered: what is too quick now ends, what begins keeps to it.
        assert lab.apply(bandwidth={account: CAP})["cut"] == 1
        began = time.monotonic()
        with loaded(flows(lab, peer, 1, account=account, bw=CAP * 1000)) as held:
            assert keeps_to_its_cap(lambda: held.received, began)
            # Raised: nothing ends, and what begins has the new cap.
            assert lab.apply(bandwidth={account: CAP * 1000})["cut"] == 0
            began = time.monotonic()
            with loaded(flows(lab, peer, 1, account=account, bw=1)) as quick:
                is_not_held(lambda: quick.received, began)


def test_after_a_raise_old_flows_keep_the_old_rate_and_new_ones_share_the_new(
    lab: GatewayLab, peer: Peer
) -> None:
    account = "user-00000000000000f9"
    began = time.monotonic()
    with loaded(flows(lab, peer, 2, account=account, bw=CAP)) as old:
        wait_until(lambda: old.received, "the first byte")
        assert lab.apply(bandwidth={account: 3 * CAP})["cut"] == 0
        # Never more than the new cap and, until the old flows end, the old one beside it.
        raised, before = time.monotonic(), old.received
        with loaded(flows(lab, peer, 2, account=account, bw=CAP)) as new:
            assert keeps_to_its_cap(lambda: new.received, raised, 3 * RATE)
            wait_until(lambda: old.received > before + RATE, "the old flows go on")
            got = old.received
            assert got < most(began)
    began = time.monotonic()
    with loaded(flows(lab, peer, 4, account=account, bw=CAP)) as after:
        assert keeps_to_its_cap(lambda: after.received, began, 3 * RATE)


def test_a_client_cannot_choose_its_slot(lab: GatewayLab, peer: Peer) -> None:
    target, began = f"127.0.0.1:{peer.port}", time.monotonic()
    credentials = f"Proxy-Authorization: Bearer {lab.token()}\r\nX-Causeway-Bandwidth: 0\r\n"
    status, _, _, flow = lab.send(
        f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n".encode()
    )
    assert status == 200
    with loaded([flow]) as load:
        is_not_held(lambda: load.received, began)


def test_without_a_slot_an_account_is_turned_away_and_not_let_in_without_a_cap(
    tmp_path: Path, peer: Peer
) -> None:
    with closing(GatewayLab(tmp_path)) as lab:
        lab.start("1")
        (first,) = flows(lab, peer, 1, account="user-00000000000000f7", bw=CAP)
        second = f"Bearer {lab.token('session-f8', 'user-00000000000000f8', bw=CAP)}"
        status, headers, body = lab.ask(second, f"127.0.0.1:{peer.port}")
        assert (status, headers["x-causeway-reason"]) == (503, "bandwidthunavailable")
        assert b"Try again" in body
        first.close()
        wait_until(lambda: lab.ask(second, f"127.0.0.1:{peer.port}")[0] == 200, "the slot is free again")


def test_an_adopted_envoy_still_holds(tmp_path: Path, peer: Peer) -> None:
    """The agent is killed; the next one gives no account a slot that another's open flow is in."""
    with closing(GatewayLab(tmp_path)) as lab:
        lab.start()
        began = time.monotonic()
        with loaded(flows(lab, peer, 1, account=ACCOUNT, bw=CAP)) as one:
            lab.kill_agent()
            lab.start()
            adopted = time.monotonic()
            with (
                loaded(flows(lab, peer, 1, account="user-00000000000000f6", bw=CAP)) as two,
                loaded(flows(lab, peer, 1, account=ACCOUNT, bw=CAP)) as three,
            ):
                assert keeps_to_its_cap(lambda: two.received, adopted)
                wait_until(lambda: three.received > RATE, "the account's second flow takes part")
                got = one.received + three.received
                assert got < most(began)


async def test_without_envoys_admin_interface_a_capped_flow_does_not_begin(tmp_path: Path) -> None:
    state = GatewayState()
    state.adopt(Snapshot.compile(GatewayConfiguration.decode(snapshot_document(TokenSigner(), 40001, 40002))))
    bandwidth = Bandwidth(EnvoyProcess(tmp_path), state, Flows(state), slots=2)
    until = time.time() + 60
    capped = SessionIdentity("session-1", ACCOUNT, INSTANCE, "alice", "10.0.0.1", until, CAP)
    free = SessionIdentity("session-2", ACCOUNT, INSTANCE, "alice", "10.0.0.1", until, None)
    with pytest.raises(NoBandwidth):
        await bandwidth.slot(capped)
    assert (await bandwidth.slot(free)) is None


@pytest.mark.parametrize(("kbps", "expected"), [(1, 1), (8, 1), (2000, 244), (20_000, 2441)])
def test_caps_are_told_to_envoy_in_kibibytes(kbps: int, expected: int) -> None:
    assert kibibytes(kbps) == expected
