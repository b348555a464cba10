"""Connections by real proxies: bytes arrive whole, refusals name variable and proxy, passwords stay where they are."""

import socket
from collections.abc import Iterator

import pytest

from edge.outbound.dialling import dial
from edge.outbound.errors import OutboundError
from tests.proxies import HttpProxy, Proxy, SocksProxy, running
from tests.quiet import Service

KINDS = [HttpProxy, SocksProxy]
NAMES = {"mail.corp.test": "127.0.0.1"}


class Greeter(Service):
    """Server that speaks first, as mail servers do."""

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        connection.sendall(connection.recv(100))


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    made = Greeter()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def reached(host: str, port: int) -> bytes:
    with dial(host, port, scheme="smtp", timeout=10) as connection:
        greeting = connection.recv(100)
        connection.sendall(b"and back")
        return greeting + connection.recv(100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("credentials", ["", "anna:S3cret"])
def test_who_speaks_first_is_heard_from_the_first_byte(
    kind: type[Proxy], credentials: str, greeter: Greeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(kind(NAMES, credentials=credentials)) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert reached("mail.corp.test", greeter.port) == b"220 hello\r\nand back"
        assert proxy.asked == [f"mail.corp.test:{greeter.port}"], "the proxy looks the name up"


@pytest.mark.parametrize("kind", KINDS)
def test_ipv6_is_asked_for_as_such(
    kind: type[Proxy], monkeypatch: pytest.MonkeyPatch, greeter: Greeter
) -> None:
    with running(kind({"fd00::7": "127.0.0.1"})) as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
        assert reached("fd00::7", greeter.port).endswith(b"and back")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("anna:Wr0ng", "does not accept the user name and password in ALL_PROXY"),
        ("", "asks for a user name and a password: write ALL_PROXY as"),
    ],
)
def test_a_proxy_that_knows_nobody(
    kind: type[Proxy], shown: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(kind(NAMES, credentials="anna:S3cret")) as proxy:
        user = f"{shown}@" if shown else ""
        monkeypatch.setenv("ALL_PROXY", f"{proxy.scheme}://{user}127.0.0.1:{proxy.port}")
        with pytest.raises(OutboundError, match="ALL_PROXY") as raised:
            reached("mail.corp.test", 25)
    told = str(raised.value)
    assert words in told and "Wr0ng" not in told and f"{proxy.scheme}://127.0.0.1:{proxy.port}" in told


@pytest.mark.parametrize(
    ("kind", "code", "words"), [(HttpProxy, 403, "status 403"), (SocksProxy, 2, "its rules")]
)
def test_a_way_that_the_proxy_forbids(
    kind: type[Proxy], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(kind(refuses=code)) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        with pytest.raises(OutboundError, match=f"mail.corp.test:25.*{words}.*mail.corp.test in NO_PROXY"):
            reached("mail.corp.test", 25)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_none(scheme: str, greeter: Greeter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{greeter.port}")
    with pytest.raises(OutboundError, match=r"^ALL_PROXY names the proxy"):
        reached("mail.corp.test", 25)
    greeter.close()
    with pytest.raises(OutboundError, match=r"which cannot be reached: .*refused"):
        reached("mail.corp.test", 25)


def test_a_host_of_no_proxy_and_this_machine_are_reached_directly(
    greeter: Greeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    assert reached("127.0.0.1", greeter.port) == reached("localhost", greeter.port)
