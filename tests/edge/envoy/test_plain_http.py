"""What passes over plain HTTP passes unchanged, on every way; HTTP/1.0 is spoken; every failure says what it was."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge.envoy.plain import MAX_HEADERS, MAX_HEADERS_KB
from tests.edge.client.test_client_words import names, rows
from tests.edge.gateway_lab import wait_until
from tests.edge.plain_lab import (
    UNDERSCORE,
    Origin,
    Plain,
    World,
    connect,
    failure,
    full_port,
    get,
    status,
)
from tests.pipe_http import Reader
from tests.pipe_tls import open_tls

pytestmark = pytest.mark.processes

WAYS = ["gateway", "connect"]
OFFICE = "plain.corp.example"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with full_port() as full, contextlib.closing(World(tmp_path_factory.mktemp("plain"), full)) as made:
        yield made


def cloud(world: World) -> str:
    """The same origin, dialled by the gateway itself."""
    return f"127.0.0.1:{world.origin.port}"


def headers(request: bytes) -> list[tuple[str, str]]:
    """The headers of a request as its origin saw them."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def body_size(request: bytes) -> int:
    """How many bytes the body of a request has, taken out of its chunks."""
    reader = Reader(iter([request]).__next__)
    return sum(map(len, reader.body(reader.until(b"\r\n\r\n"))))


@pytest.mark.parametrize("way", WAYS)
def test_http_1_0_is_spoken_to_a_proxy(world: World, way: str) -> None:
    for host in (OFFICE, cloud(world)):
        answer = world.talk(way, get(host, version="1.0"))
        assert answer.startswith(b"HTTP/1.0 200 ") and answer.endswith(b"\r\n\r\nok")
    assert status(world.talk(way, connect(f"{OFFICE}:80", "1.0"))) == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_without_a_length_that_breaks_off_does_not_look_complete(
    world: World, way: str, version: str
) -> None:
    for host in (OFFICE, cloud(world)):
        world.origin.breaks.clear()
        connection, request = world.asked(way, get(host, "/breaks", version=version))
        with contextlib.closing(connection):
            connection.sendall(request)
            data = b""
            while b"part" not in data:
                data += connection.recv(65536)
            world.origin.breaks.set()
            with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
                while data := connection.recv(65536):
                    pass


def test_a_request_without_a_host_is_told_what_is_missing(world: World) -> None:
    answer = world.talk("gateway", b"GET / HTTP/1.0\r\n\r\n")
    assert failure(answer)[:2] == (400, "NotAProxyRequest")


@pytest.mark.parametrize("way", WAYS)
def test_a_request_to_the_proxy_itself_is_told_what_a_proxy_takes(world: World, way: str) -> None:
    answer = world.talk(way, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert failure(answer)[:2] == (400, "NotAProxyRequest")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_added_to_a_request(world: World, way: str) -> None:
    for host in (OFFICE, cloud(world)):
        assert status(world.talk(way, get(host, "/page?a=%2f..//b"))) == 200
        request = world.origin.seen[-1]
        assert request.startswith(b"GET /page?a=%2f..//b HTTP/1.1\r\n")
        assert [(name.lower(), value) for name, value in headers(request)] == [("host", host)]


@pytest.mark.parametrize("way", WAYS)
def test_the_clients_own_headers_arrive_in_order(world: World, way: str) -> None:
    sent = [
        ("X-Request-Id", "mine"), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-For", "192.0.2.1"), ("Via", "1.0 me"),
        ("X-Envoy-Retry-On", "5xx"), ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"), ("X-Forwarded-Client-Cert", "By=me"),
        ("Cookie", "a=1"), ("X-Twice", "a"), ("X-Twice", "b"), ("X_Under_Score", "1"), ("X-Empty", ""),
        ("X-Latin", "b\u00fccher"),
    ]  # fmt: skip
    for host in (OFFICE, cloud(world)):
        assert status(world.talk(way, get(host, "/", *(f"{name}: {value}" for name, value in sent)))) == 200
        seen = [(name.lower(), value) for name, value in headers(world.origin.seen[-1])]
        taken = ("x-forwarded-proto", "x-envoy-", "cookie")  # these come last
        expected = sorted(
            ((name.lower(), value) for name, value in sent), key=lambda pair: pair[0].startswith(taken)
        )
        assert sorted(seen) == sorted([("host", host), *expected])
        in_order = [pair for pair in seen if not pair[0].startswith(taken)]
        assert in_order == [("host", host), *(pair for pair in expected if not pair[0].startswith(taken))]


def test_spelling_is_kept_on_the_cloud_path_and_is_usual_behind_a_connector(world: World) -> None:
    for host, name in ((cloud(world), "SOAPAction"), (OFFICE, "Soapaction")):
        answer = world.talk("gateway", get(host, "/words", "SOAPAction: urn:x", "x-small: 1"))
        assert (name, "urn:x") in headers(world.origin.seen[-1])
        assert b"Own/1" in answer
        if host != OFFICE:
            assert ("x-small", "1") in headers(world.origin.seen[-1])
            assert answer.startswith(b"HTTP/1.1 299 Quite So\r\n") and b"\r\nX-MiXed: 1\r\n" in answer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ["PROPFIND", "FROB", "DELETE", "OPTIONS"])
def test_any_method_passes(world: World, way: str, method: str) -> None:
    for host in (OFFICE, cloud(world)):
        assert status(world.talk(way, get(host, method=method))) == 200
        assert world.origin.seen[-1].startswith(f"{method} / ".encode())


@pytest.mark.parametrize("way", WAYS)
def test_bodies_of_any_framing_pass(world: World, way: str) -> None:
    chunked = b"5\r\nhello\r\n3\r\nabc\r\n0\r\nX-Sum: 8\r\n\r\n"
    for host in (OFFICE, cloud(world)):
        for method in ("POST", "GET", "DELETE"):
            assert status(world.talk(way, get(host, "/", "Content-Length: 3", method=method) + b"abc")) == 200
            assert world.origin.seen[-1].endswith(b"\r\n\r\nabc")
            request = get(host, "/", "Transfer-Encoding: chunked", "Trailer: X-Sum", method=method)
            assert status(world.talk(way, request + chunked)) == 200
            body = world.origin.seen[-1].partition(b"\r\n\r\n")[2]
            assert (
                re.sub(rb"(?m)^[0-9a-f]+\r\n", b"", body).replace(b"\r\n", b"").lower() == b"helloabcx-sum: 8"
            )


@pytest.mark.parametrize("target", [f"http://{OFFICE}/", f"{OFFICE}:80"])
def test_a_body_that_waits_for_its_bandwidth_arrives_once(world: World, target: str) -> None:
    """For another attempt Envoy keeps what has passed, in one buffer with what waits."""
    posted = f"POST {target if '/' in target else '/'} HTTP/1.1\r\nHost: {OFFICE}\r\n".encode()
    granted = f"Proxy-Authorization: Bearer {world.gateway.token(bw=80)}\r\n".encode()
    first = b"Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + bytes(20_000) + b"\r\n"
    rest = b"2710\r\n" + bytes(10_000) + b"\r\n0\r\n\r\n"
    if "/" in target:
        sent = posted + granted + first
    else:  # a client that does not wait for its flow
        sent = (
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode() + granted + b"\r\n" + posted + first
        )
    world.origin.arrived = 0
    with open_tls(world.gateway.client_port, "http/1.1") as connection:
        connection.settimeout(50)
        connection.sendall(sent)
        wait_until(lambda: world.origin.arrived >= 20_000, "what passes at once")
        connection.sendall(rest)
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            answer += (more := connection.recv(65536))
            assert more, answer
    assert body_size(world.origin.seen[-1]) == 30_000


def test_what_waits_for_a_name_and_what_waits_for_its_bandwidth_arrive_both(world: World) -> None:
    for _ in range(3):
        with contextlib.closing(Origin(Plain)) as origin:  # one that this gateway has not looked up yet
            head = f"POST http://127.0.0.1:{origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n"
            granted = f"Proxy-Authorization: Bearer {world.gateway.token(bw=80)}\r\n"
            pieces = b"".join(b"2710\r\n" + bytes(10_000) + b"\r\n" for _ in range(2)) + b"0\r\n\r\n"
            with open_tls(world.gateway.client_port, "http/1.1") as connection:
                connection.settimeout(50)
                connection.sendall(f"{head}{granted}Transfer-Encoding: chunked\r\n\r\n".encode() + pieces)
                wait_until(lambda: origin.seen, "the request", 50)
            assert body_size(origin.seen[-1]) == 20_000


@pytest.mark.parametrize("way", WAYS)
def test_the_origin_decides_on_expect_and_says_early_hints(world: World, way: str) -> None:
    for host in (OFFICE, cloud(world)):
        request = get(host, "/", "Expect: 100-continue", "Content-Length: 3", method="PUT")
        answer = world.talk(way, request, rest=b"abc")
        assert answer.startswith(b"HTTP/1.1 100 ") and b"HTTP/1.1 200 " in answer
        assert b"HTTP/1.1 103 " in world.talk(way, get(host, "/early"))


@pytest.mark.parametrize("way", WAYS)
def test_many_and_long_headers_pass_both_ways(world: World, way: str) -> None:
    many = [f"X-{index}: v" for index in range(MAX_HEADERS - 20)]
    long = f"X-Long: {'v' * (MAX_HEADERS_KB - 4) * 1024}"
    for host in (OFFICE, cloud(world)):
        assert status(world.talk(way, get(host, "/", *many))) == 200
        assert len(headers(world.origin.seen[-1])) == len(many) + 1
        assert status(world.talk(way, get(host, "/", long))) == 200
        assert long[8:].encode() in world.origin.seen[-1]
        assert world.talk(way, get(host, f"/many/{len(many)}")).count(b": v\r\n") == len(many)
        assert len(world.talk(way, get(host, f"/big/{MAX_HEADERS_KB - 4}"))) > (MAX_HEADERS_KB - 4) * 1024


@pytest.mark.parametrize("way", WAYS)
def test_beyond_the_limits_there_is_a_reason_and_nobody_else_suffers(world: World, way: str) -> None:
    for host in (OFFICE, cloud(world)):
        many = get(host, "/", *(f"X-{index}: v" for index in range(MAX_HEADERS + 100)))
        for request in (many, get(host, "/", f"X-Long: {'v' * (MAX_HEADERS_KB + 99) * 1024}")):
            assert failure(world.talk(way, request)) == (431, "HeadersTooLarge", "request")
        for path in (f"/many/{MAX_HEADERS + 100}", f"/big/{MAX_HEADERS_KB + 99}"):
            assert failure(world.talk(way, get(host, path))) == (502, "AnswerInvalid", "answer")
            assert status(world.talk(way, get(host))) == 200


@pytest.mark.parametrize("way", WAYS)
def test_an_application_cannot_speak_as_the_product(world: World, way: str) -> None:
    for host in (OFFICE, cloud(world)):
        assert failure(world.talk(way, get(host, "/forged"))) == (200, "", "")


@pytest.mark.parametrize("way", WAYS)
def test_a_host_with_an_underscore_is_reached(world: World, way: str) -> None:
    answer = world.talk(way, get(UNDERSCORE, "/a_b?c_d"))
    assert failure(answer) == (200, "", "")
    assert world.origin.seen[-1].startswith(b"GET /a_b?c_d HTTP/1.1\r\n")
    assert dict(headers(world.origin.seen[-1]))["Host"] == UNDERSCORE
    assert failure(world.talk(way, get(f"{UNDERSCORE}:80"))) == (200, "", "")
    assert failure(world.talk(way, get(UNDERSCORE.upper(), version="1.0"))) == (200, "", "")
    assert failure(world.talk(way, connect(f"{UNDERSCORE}:80"))) == (200, "", "")
    assert failure(world.talk(way, get("no_such.corp.example"))) == (403, "NoMatch", "")
    with socket.create_connection(("127.0.0.1", world.forward), timeout=20) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {UNDERSCORE}\r\n\r\n".encode())
        assert status(connection.recv(65536)) == 200


BODIES = [
    ("Content-Length: 30", b"GET http://in_body.example/ \r\n"),
    ("Transfer-Encoding: chunked", b"1e\r\nGET http://in_body.example/ \r\n\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("piece", [1, 7, 65536])
def test_underscores_are_understood_in_every_request_of_a_connection_and_bodies_left_alone(
    world: World, way: str, piece: int
) -> None:
    before = len(world.origin.seen)
    requests = b""
    for host in (OFFICE, UNDERSCORE):
        for header, body in BODIES:
            head = get(host, "/up_load", header, method="POST").replace(b"Connection: close\r\n", b"")
            requests += head + body
    connection, first = world.asked(way, requests)
    if way == "gateway":  # each request of a connection shows who asks
        token = f"\r\nProxy-Authorization: Bearer {world.gateway.token()}\r\nContent-".encode()
        first = requests.replace(b"\r\nContent-", token)
        first = first.replace(b"\r\nTransfer-", token.removesuffix(b"Content-") + b"Transfer-")
    with contextlib.closing(connection):
        for place in range(0, len(first), piece):
            connection.sendall(first[place : place + piece])
        data = b""
        while data.count(b"\r\n\r\nok") < 4:
            data += (more := connection.recv(65536))
            assert more, data
    assert data.count(b"HTTP/1.1 200 ") == 4
    seen = world.origin.seen[before:]
    assert [dict(headers(each))["Host"] for each in seen] == [OFFICE] * 2 + [UNDERSCORE] * 2
    assert all(b"GET http://in_body.example/ " in each for each in seen)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:FFFF:7f00:1]:{port}"])
def test_an_address_that_is_written_oddly_is_the_same_address(world: World, way: str, host: str) -> None:
    host = host.format(port=world.origin.port)
    assert failure(world.talk(way, connect(host))) == (200, "", "")


# -- Failures: each has a documented reason, and says which part of the way failed -------------------------------------


def documented() -> tuple[set[str], set[str]]:
    """The reasons and the parts of docs/architecture.md."""
    table = rows("architecture.md", "## Status codes a client of a gateway sees")
    return set().union(*(names(row[1]) for row in table)), {row[0].strip("`") for row in table}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("host", "expected", "who"),
    [
        ("refused.corp.example", (503, "DestinationUnreachable", "refused"), b"the connector's server"),
        ("name.invalid", (503, "DestinationUnreachable", "name"), b"the connector's server"),
        ("localhost", (403, "DestinationForbidden", "server"), b"the connector's server"),
        ("127.0.0.1:{nobody}", (503, "DestinationUnreachable", "refused"), b"the gateway"),
        ("nothing.example", (403, "NoMatch", ""), b""),
    ],
)
def test_what_takes_no_connection(
    world: World, way: str, host: str, expected: tuple[int, str, str], who: bytes
) -> None:
    host = host.format(nobody=world.nobody)
    for request in (get(host), connect(host if ":" in host else f"{host}:80")):
        answer = world.talk(way, request)
        assert failure(answer) == expected
        assert who in answer
    reasons, parts = documented()
    assert expected[1] in reasons and expected[2] in parts | {""}


@pytest.mark.parametrize(
    "request_line",
    ["CONNECT refused.corp.example:80 HTTP/1.1", "GET http://refused.corp.example/ HTTP/1.1"],
)
def test_a_refusal_arrives_whole_though_the_bandwidth_is_used_up(world: World, request_line: str) -> None:
    granted = f"Host: refused.corp.example\r\nProxy-Authorization: Bearer {world.gateway.token(bw=8)}"
    for _ in range(5):  # 8 kbit/s: a sentence has to wait for its share
        with open_tls(world.gateway.client_port, "http/1.1") as connection:
            connection.sendall(f"{request_line}\r\n{granted}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        assert failure(answer) == (503, "DestinationUnreachable", "refused")
        assert answer.endswith(b"The destination refused the connection of the connector's server.\n")


def test_what_neither_takes_nor_refuses_a_connection(world: World) -> None:
    requests = (connect("full.corp.example:80"), get(f"127.0.0.1:{world.full}"))
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda request: world.talk("gateway", request), requests))
    for answer, who in zip(answers, (b"the connector's server", b"the gateway"), strict=True):
        assert failure(answer) == (503, "DestinationUnreachable", "time-out")
        assert who in answer


@pytest.mark.parametrize("way", WAYS)
def test_what_takes_a_connection_and_gives_no_answer(world: World, way: str) -> None:
    ended = (503, "DestinationUnreachable", "ended")
    ends, resets = f"127.0.0.1:{world.ends.port}", f"127.0.0.1:{world.resets.port}"
    for host in ("ends.corp.example", ends, "resets.corp.example", resets):
        assert failure(world.talk(way, get(host))) == ended
    for host in ("junk.corp.example", f"127.0.0.1:{world.junk.port}"):
        assert failure(world.talk(way, get(host))) == (502, "AnswerInvalid", "answer")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_request(world: World, way: str) -> None:
    assert failure(world.talk(way, b"GET http:// HTTP/1.1\r\n\r\n"))[:2] == (400, "DestinationInvalid")
    assert failure(world.talk(way, b"NO HTTP AT ALL\r\n\r\n")) == (400, "RequestInvalid", "request")
