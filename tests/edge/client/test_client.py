"""``causeway connect`` as a process of its own, from a local port through a gateway to an application."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.edge.client_tokens import token
from tests.edge.connector_lab import (
    LabGateway,
    application,
    curl,
    enrolled_server,
    running_application,
    running_server,
    status,
    until,
)
from tests.edge.console_lab import FakeConsole, refusal
from tests.edge.console_lab import grant as granted
from tests.edge.gateway_pki import Authority
from tests.ending import ended
from tests.ports import free_port
from tests.running import causeway

pytestmark = pytest.mark.processes

PASSWORD = "Correct-Horse-7"


# Made when the tests are collected, which may be long before the last of them.
GOOD = token(1, life=86_400.0)


@pytest.fixture(scope="module")
async def gateway(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabGateway]:
    """A gateway that leads to ``wiki.corp.example``."""
    folder, authority = tmp_path_factory.mktemp("client"), Authority()
    made = LabGateway(folder / "gateway", authority, "connector-1", token=GOOD)
    home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
    with running_application() as wiki:
        apps = [application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{wiki}")]
        async with running_server(made, home, apps):
            yield made


@pytest.fixture
def console(console: FakeConsole, gateway: LabGateway) -> FakeConsole:
    """The console lets in who has the password, by the gateway."""

    def log_on(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["password"] != PASSWORD:
            return 401, refusal("LogonRefused", "The instance, user name or password is wrong.")
        return 200, grant(gateway, GOOD)

    console.answers["login"] = log_on
    console.answers["session/renew"] = lambda body: (200, grant(gateway, GOOD))
    console.answers["logout"] = lambda body: (200, {})
    return console


def grant(gateway: LabGateway, text: str) -> dict[str, Any]:
    return granted(text, f"https://127.0.0.1:{gateway.secure}", ca=gateway.authority.pem.decode())


@dataclass
class Client:
    process: subprocess.Popen[str]
    listen: int
    forward: int
    log: Path

    def runs(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return True

    async def served(self) -> bool:
        return self.runs() and await status(self.listen) == "200"

    def told(self, sentence: str) -> bool:
        return self.runs() and sentence in self.log.read_text()


@contextlib.contextmanager
def connected(console: FakeConsole, folder: Path, *more: str, password: str = PASSWORD) -> Iterator[Client]:
    (folder / "password").write_text(password + "\n")
    listen, forward = free_port(), free_port()
    command = ["--console", console.url, "--instance", "sag-1", "--username", "alice.smith"]
    command += ["--password-file", str(folder / "password"), "--listen", f"127.0.0.1:{listen}"]
    command += ["--forward", f"{forward}=wiki.corp.example:80", *more]
    log = folder / "connect.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "connect", *command], stdout=output, stderr=output, text=True
        )
    with ended(process, signal.SIGINT, 30):
        yield Client(process, listen, forward, log)


async def test_proxy_and_forward_lead_to_the_application(console: FakeConsole, tmp_path: Path) -> None:
    pac = tmp_path / "proxy.pac"
    with connected(console, tmp_path, "--pac", str(pac), "--pac-for", "corp.example") as client:
        await until(client.served, "the application by the proxy")
        proxy = ("--proxy", f"http://127.0.0.1:{client.listen}", "--proxytunnel")
        assert '"/tunnel"' in (await curl(*proxy, "http://wiki.corp.example/tunnel"))[1]
        forward = f"http://127.0.0.1:{client.forward}/forward"
        answer = (await curl(forward, "--header", "Host: wiki.corp.example"))[1]
        assert '"/forward"' in answer and "proxy-authorization" not in answer
        assert f"PROXY 127.0.0.1:{client.listen}" in pac.read_text()
        assert '"corp.example."' in pac.read_text() and '"*.corp.example."' in pac.read_text()
    assert client.process.returncode == 0
    assert console.bodies("login")[0]["kind"] == "connect"
    assert console.bodies("logout") == [{"token": GOOD}], "the session is given back"
    assert PASSWORD not in client.log.read_text() and GOOD not in client.log.read_text()


async def test_programs_that_speak_http_1_0_to_a_proxy_are_served(
    console: FakeConsole, tmp_path: Path
) -> None:
    """Such as nc, by which ssh reaches its hosts: CONNECT without a Host header."""
    with connected(console, tmp_path) as client:
        await until(client.served, "the application by the proxy")
        assert b'"/plain"' in ask(client, b"GET http://wiki.corp.example/plain HTTP/1.0\r\n\r\n")
        with socket.create_connection(("127.0.0.1", client.listen), timeout=30) as tunnel:
            tunnel.sendall(b"CONNECT wiki.corp.example:80 HTTP/1.0\r\n\r\n")
            assert b" 200 " in tunnel.recv(1000).partition(b"\r\n")[0]
            tunnel.sendall(b"GET /inside HTTP/1.1\r\nHost: wiki.corp.example\r\nConnection: close\r\n\r\n")
            assert b'"/inside"' in read_all(tunnel)


async def test_the_pac_file_is_at_the_proxys_own_address_alone(console: FakeConsole, tmp_path: Path) -> None:
    with connected(console, tmp_path, "--pac-for", "*.Corp.Example", "--pac-for", "10.0.0.0/8") as client:
        await until(client.served, "the application by the proxy")
        for host in ("127.0.0.1", "localhost"):
            head, _, body = ask(client, pac_request(f"{host}:{client.listen}")).partition(b"\r\n\r\n")
            assert b" 200 OK" in head and b"content-type: application/x-ns-proxy-autoconfig" in head
            assert b"x-content-type-options: nosniff" in head
            assert f"PROXY 127.0.0.1:{client.listen}".encode() in body
            assert b'"*.corp.example."' in body and b"[[[2560, 0], 8, []]]" in body
        # Under another name, such as that of a page that leads its own name here, nothing is told.
        assert b"FindProxyForURL" not in ask(client, pac_request(f"evil.example:{client.listen}"))
        assert b'"/proxy.pac"' in ask(client, pac_request("wiki.corp.example", "http://wiki.corp.example"))


async def test_a_gateway_that_says_no_addresses_has_all_names_go_by_the_proxy(
    console: FakeConsole, tmp_path: Path
) -> None:
    with connected(console, tmp_path) as client:
        await until(client.served, "the application by the proxy")
        assert b"isPlainHostName" in ask(client, pac_request(f"127.0.0.1:{client.listen}"))
    assert "proxy.causeway.invalid" not in client.log.read_text()


def pac_request(host: str, before: str = "") -> bytes:
    return f"GET {before}/proxy.pac HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def ask(client: Client, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", client.listen), timeout=30) as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


async def test_a_token_that_gateways_refuse_is_renewed_at_once_without_a_restart(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    stale = token(2)
    console.answers["login"] = lambda body: (200, grant(gateway, stale))
    with connected(console, tmp_path) as client:
        await until(client.served, "the application with the renewed token")
    assert console.bodies("session/renew") == [{"token": stale}]


async def test_the_token_is_renewed_at_half_its_life(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    console.answers["login"] = lambda body: (200, grant(gateway, token(3, life=2.0)))
    with connected(console, tmp_path) as client:
        await until(lambda: client.runs() and console.bodies("session/renew"), "a renewal")


def test_a_session_ended_by_the_console_is_told(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    console.answers["login"] = lambda body: (200, grant(gateway, token(4, life=2.0)))
    ended = refusal("SessionEnded", "An administrator ended it.")
    console.answers["session/renew"] = lambda body: (401, ended)
    with connected(console, tmp_path) as client:
        assert client.process.wait(timeout=30) == 3
    assert "An administrator ended it." in client.log.read_text()


def test_a_wrong_password_is_refused_with_the_consoles_sentence(console: FakeConsole, tmp_path: Path) -> None:
    with connected(console, tmp_path, password="wrong") as client:
        assert client.process.wait(timeout=30) == 5
    assert client.log.read_text().strip() == "The instance, user name or password is wrong."


async def test_a_gateway_of_another_ca_is_not_trusted(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    foreign = {**grant(gateway, GOOD), "ca": Authority().pem.decode()}
    console.answers["login"] = lambda body: (200, foreign)
    with connected(console, tmp_path) as client:

        async def answered() -> str:
            return (await status(client.listen)).replace("000", "")

        assert await until(answered, "an answer of the proxy") == "503"


async def test_a_ca_that_the_console_has_replaced_is_trusted_from_the_next_renewal_on(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    before = {**grant(gateway, token(5, life=4.0)), "ca": Authority().pem.decode()}
    console.answers["login"] = lambda body: (200, before)
    with connected(console, tmp_path) as client:
        await until(client.served, "the application by a gateway of the new CA")
    assert console.bodies("session/renew"), "no restart was needed"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--listen", "0.0.0.0:3128"), "must be a loopback one"),
        (("--listen", "127.0.0.1:99999"), "a number from 1 to 65535"),
        (("--forward", "5432"), "must be like 5432=db.corp.example:5432"),
        (("--listen", "none"), "Nothing to do"),
        (("--listen", "none", "--forward", "1080=a:1", "--pac", "x"), "--pac needs --listen"),
        (("--listen", "none", "--forward", "1080=a:1", "--pac-for", "a"), "--pac-for needs --listen"),
        (("--pac-for", "http://a.example/"), "is a URL; write its host name alone: a.example."),
        (("--pac-for", ".corp.example"), "begins with a dot; all names below are *.corp.example."),
        (("--pac-for", "10.0.0.1/8"), "has bits beyond its prefix; 10.0.0.0/8 would be the block."),
        (("--forward", "1080=a b:1"), "is neither a host name nor an IP address"),
        (("--forward", "3128=a:1"), "127.0.0.1:3128 is given twice"),
        (("--console", "console.example.com"), "must be an address like https://console.example.com"),
        (("--console", "https://a:b@console.example.com"), "must be an address like https://console."),
        (("--console", "http://console.example.com"), "everybody on the way could read the password"),
        (("--username", ""), "--username is empty"),
        (("--password-file", os.devnull), "its first line, which is to be the password, is empty"),
        (("--ca-file", os.devnull), "holds no certificate"),
    ],
)
def test_options_that_cannot_be_used_get_a_sentence(
    option: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    place = ["--console", "http://127.0.0.1:1", "--instance", "sag-1", "--username", "alice.smith"]
    run = causeway("connect", "--password-file", "-", *place, *option)
    assert run.returncode == 2 and sentence in run.stderr and "Traceback" not in run.stderr


def test_a_console_that_is_away(tmp_path: Path) -> None:
    console = FakeConsole()
    console.url = "http://127.0.0.1:1"
    with connected(console, tmp_path) as client:
        assert client.process.wait(timeout=30) == 4
    assert "cannot be reached" in client.log.read_text()


def test_what_answers_is_no_console(console: FakeConsole, tmp_path: Path) -> None:
    console.answers["login"] = lambda body: (404, {"detail": "Not Found"})
    with connected(console, tmp_path) as client:
        assert client.process.wait(timeout=30) == 4
    told = client.log.read_text().strip()
    assert told == f"What answers at {console.url} is no console: its status is 404."


def test_a_console_with_a_certificate_of_an_unknown_ca(gateway: LabGateway, tmp_path: Path) -> None:
    elsewhere = FakeConsole()
    elsewhere.url = f"https://127.0.0.1:{gateway.secure}"
    with connected(elsewhere, tmp_path) as client:
        assert client.process.wait(timeout=30) == 4
    told = client.log.read_text().strip()
    place = elsewhere.url.removeprefix("https://")
    assert told.startswith(f"The console at {elsewhere.url} cannot be reached. The certificate of {place} (")
    assert ", issued by CN=" in told and "whom this machine does not trust" in told and "_ssl" not in told
    assert "name the CA's file with --ca-file" in told


async def test_a_console_that_goes_away_is_told_and_so_is_its_return(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    console.answers["login"] = lambda body: (200, grant(gateway, token(5, life=2.0)))
    console.answers["session/renew"] = lambda body: (503, {})
    with connected(console, tmp_path) as client:
        lost = "The session could not be renewed yet: The console answered with status 503. "
        lost += "Going on with the present token."
        await until(lambda: client.told(lost), "the console's loss")
        console.answers["session/renew"] = lambda body: (200, grant(gateway, GOOD))
        await until(lambda: client.told("The console can be reached again"), "its return")
        await until(client.served, "the application")


async def test_gateways_that_are_lost_and_come_back_are_told(
    gateway: LabGateway, console: FakeConsole, tmp_path: Path
) -> None:
    with connected(console, tmp_path) as client:
        await until(client.served, "the application by the proxy")
        lost = "No gateway can be reached at present; trying again."
        try:
            await gateway.envoy.stop()
            await until(lambda: client.told(lost), "the gateway's loss")
        finally:
            await gateway.start()
        await until(lambda: client.told("A gateway can be reached again."), "its return")
        await until(client.served, "the application")
