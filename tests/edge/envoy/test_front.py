"""HTTP/1 at a gateway: a CONNECT whose two sides may end alone, however its bytes come, and all else as before."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.envoy import halfclose
from edge.envoy.bandwidth import SLOTS
from edge.envoy.module import FOLDER
from tests.edge.gateway_lab import Echo, GatewayLab, echoes, wait_until
from tests.pipe_tls import TlsStream, open_tls, tls_context
from tests.quiet import Service

pytestmark = pytest.mark.processes


class Mirror(Service):
    """Takes all until its sender ends, then sends it back and ends."""

    def serve(self, connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(65536):
            data += piece
        connection.sendall(data)


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    with closing(Mirror()) as made:
        yield made


@pytest.fixture(scope="module")
def lab(shared: GatewayLab) -> GatewayLab:
    assert not halfclose.hindrance()
    return shared


class Client:
    """One connection to the gateway, by HTTP/1."""

    def __init__(self, lab: GatewayLab) -> None:
        self.raw = socket.create_connection(("127.0.0.1", lab.client_port), timeout=30)
        self.tls = TlsStream(self.raw, tls_context("http/1.1"))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *details: object) -> None:
        self.raw.close()

    def head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.tls.recv(1)
            assert byte, head
            head += byte
        return head

    def rest(self) -> bytes:
        data = b""
        while piece := self.tls.recv(65536):
            data += piece
        return data


def connect(
    lab: GatewayLab, target: str, *lines: str, version: str = "1.1", bandwidth: int | None = None
) -> bytes:
    token = lab.token(bw=bandwidth) if bandwidth else lab.token()
    head = [
        f"CONNECT {target} HTTP/{version}",
        f"Host: {target}",
        f"Proxy-Authorization: Bearer {token}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode()


@settings(max_examples=25, database=None)
@given(cuts=st.lists(st.integers(0, 3000), max_size=12), size=st.integers(0, 3000))
def test_the_head_and_the_bytes_may_come_in_any_pieces(
    lab: GatewayLab, mirror: Mirror, cuts: list[int], size: int
) -> None:
    body = bytes(number % 251 for number in range(size))
    sent = connect(lab, f"127.0.0.1:{mirror.port}") + body
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    with Client(lab) as client:
        for begin, stop in itertools.pairwise(places):
            client.tls.sendall(sent[begin:stop])
        client.tls.half_close()
        assert client.head().startswith(b"HTTP/1.1 200")
        assert client.rest() == body


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Content-Length: 0"],
        ["Content-Length: 17"],
        ["Transfer-Encoding: chunked"],
        ["Expect: 100-continue"],
        ["Connection: keep-alive, x-causeway-connect", "X-Causeway-Connect: 0", "Upgrade: h2c"],
        ["X-Long: one", "\ttwo"],
        ["X-Long: " + "x" * 100_000],
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_a_head_says_of_a_body_means_nothing_for_a_connect(
    lab: GatewayLab, mirror: Mirror, lines: list[str], version: str
) -> None:
    with Client(lab) as client:
        client.tls.sendall(connect(lab, f"127.0.0.1:{mirror.port}", *lines, version=version) + b"hello")
        assert client.head().startswith(b"HTTP/1.1 200")
        client.tls.sendall(b" and goodbye")
        client.tls.half_close()
        assert client.rest() == b"hello and goodbye"


def test_chunks_and_answers_inside_a_flow_are_bytes_as_any_others(lab: GatewayLab, mirror: Mirror) -> None:
    body = b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n5\r\nhello\r\nCONNECT a:1 HTTP/1.1\r\n\r\n"
    with Client(lab) as client:
        client.tls.sendall(connect(lab, f"127.0.0.1:{mirror.port}") + body)
        client.tls.half_close()
        assert b"transfer-encoding" not in client.head().lower()
        assert client.rest() == body


def test_a_refusal_says_why_as_before(lab: GatewayLab) -> None:
    with Client(lab) as client:
        client.tls.sendall(b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n")
        head = client.head().lower()
        assert head.startswith(b"http/1.1 407") and b"proxy-authenticate: basic" in head
        assert b"transfer-encoding" not in head and client.rest()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"connect 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n", b"4"),
        (b"CONNECTED 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n", b"4"),
        (b"GET / HTTP/1.1\r\nHost: wiki\r\nX-Causeway-Connect: 1\r\n\r\n", b"4"),
        (b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nX-Long: " + b"x" * 300_000 + b"\r\n\r\n", b"431"),
        (b"CONNECT  HTTP/1.1\r\n\r\n", b"4"),
        (b"CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n", b"4"),
        (b"CONNECT a:1\rb:2 HTTP/1.1\r\n\r\n", b"4"),
        (b"CONNECT a:1 HTTP/1.1\r\nno colon\r\n\r\n", b"4"),
        (b"CONNECT a:1 HTTP/1.1\r\n folded: yes\r\n\r\n", b"4"),
        (b"CONNECT a:1 HTTP/1.1\r\nX-Never-Ends:", b"408"),
    ],
)
def test_what_is_no_valid_connect_gets_an_error(lab: GatewayLab, sent: bytes, status: bytes) -> None:
    with Client(lab) as client:
        client.tls.sendall(sent)
        assert client.head().startswith(b"HTTP/1.1 " + status)


def test_empty_lines_before_a_connect_are_passed_over(lab: GatewayLab, mirror: Mirror) -> None:
    with Client(lab) as client:
        client.tls.sendall(b"\r\n\r\n" + connect(lab, f"127.0.0.1:{mirror.port}") + b"hello")
        client.tls.half_close()
        assert client.head().startswith(b"HTTP/1.1 200") and client.rest() == b"hello"


def test_who_ends_before_the_head_is_complete_is_let_go(lab: GatewayLab) -> None:
    for sent in (b"", b"CON", b"CONNECT a:1 HTTP/1.1\r\nHost"):
        with Client(lab) as client:
            if sent:
                client.tls.sendall(sent)
            client.tls.half_close()
            assert client.rest() == b"", "an end, and none that is waited for"


def test_a_host_name_may_have_an_underscore(lab: GatewayLab) -> None:
    with Client(lab) as client:
        client.tls.sendall(connect(lab, "file_server.corp.example:445"))
        head = client.head()
        assert b"x-causeway-reason: NoMatch" in head or b"x-causeway-reason: DestinationUnreachable" in head


def test_an_account_is_held_by_its_own_bucket_only(lab: GatewayLab, mirror: Mirror) -> None:
    """What a client says under the name by which a decision names the bucket does not count."""
    with Client(lab) as client:
        client.tls.sendall(connect(lab, f"127.0.0.1:{mirror.port}", "X-Causeway-Upload: 1 1"))
        assert client.head().startswith(b"HTTP/1.1 200")
        client.tls.sendall(b"x" * 1_000_000)
        client.tls.half_close()
        assert len(client.rest()) == 1_000_000


class Deaf(Service):
    """Says what it has to say, ends its sending at once, and counts what it gets until its peer ends."""

    def __init__(self, says: bytes = b"") -> None:
        self.received: list[int] = []
        self._says, self.said = says, threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self._says)
        connection.shutdown(socket.SHUT_WR)
        self.said.set()
        count = 0
        while data := connection.recv(65536):
            count += len(data)
        self.received.append(count)


def test_the_last_bytes_of_a_capped_upload_arrive_though_trailers_end_it(lab: GatewayLab) -> None:
    """The answer has ended before, and the bucket is in debt: there Envoy's own buckets make Envoy crash."""
    envoy = lab.envoy()
    with closing(Deaf()) as deaf:
        with open_tls(lab.client_port, "h2") as stream:
            client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
            client.initiate_connection()
            names = [(":method", "CONNECT"), (":authority", f"127.0.0.1:{deaf.port}")]
            client.send_headers(1, [*names, ("proxy-authorization", f"Bearer {lab.token(bw=8)}")])
            stream.sendall(client.data_to_send())
            events: list[h2.events.Event] = []
            while not any(isinstance(each, h2.events.StreamEnded) for each in events):
                events = client.receive_data(stream.recv(65536))
            for _ in range(3):
                client.send_data(1, bytes(15_000))
                stream.sendall(client.data_to_send())
            client.send_headers(1, [("x-trailer", "1")], end_stream=True)
            stream.sendall(client.data_to_send())
            # By its bandwidth it would take 45 s.
            wait_until(lambda: deaf.received, "the upload", 20)
        assert deaf.received == [45_000]
        assert lab.envoy() == envoy


def test_an_answer_that_waits_for_its_bandwidth_arrives_though_both_sides_have_ended(lab: GatewayLab) -> None:
    with closing(Deaf(bytes(40_000))) as deaf:
        with Client(lab) as client:
            client.tls.sendall(connect(lab, f"127.0.0.1:{deaf.port}", bandwidth=80))
            assert client.head().startswith(b"HTTP/1.1 200")
            begin = client.tls.recv(1)
            assert deaf.said.wait(30)
            client.tls.sendall(b"x")
            client.tls.half_close()
            assert len(begin + client.rest()) == 40_000
        wait_until(lambda: deaf.received, "the end of what the client sent")
        assert deaf.received == [1]


def test_every_slot_of_a_gateway_has_a_bucket() -> None:
    """A flow that named a bucket which is not there would be held by none."""
    source = (FOLDER / "requests.c").read_text()
    assert int(re.findall(r"BUCKETS = (\d+)", source)[0]) >= SLOTS


def test_without_the_module_a_gateway_works_as_envoy_does(
    tmp_path: Path, echo: Echo, without_module: None
) -> None:
    with closing(GatewayLab(tmp_path / "gateway")) as gateway:
        gateway.start()
        assert echoes(gateway.tunnel(echo.target), b"x" * 100_000)
        assert echoes(gateway.tunnel(echo.target, bw=20_000), b"x" * 100_000)
        assert "was not built" in (gateway.home.read_json("module.json") or {})["without"]
