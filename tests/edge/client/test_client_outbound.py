"""``causeway connect`` in other people's networks: the console's CA apart from the gateways', and proxies."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.edge.client_tokens import token
from tests.edge.connector_lab import (
    LabGateway,
    application,
    enrolled_server,
    running_application,
    running_server,
    status,
    until,
)
from tests.edge.console_lab import FakeConsole, grant
from tests.edge.gateway_pki import Authority
from tests.ending import ended
from tests.outbound import environment
from tests.ports import free_port
from tests.proxies import HttpProxy, SocksProxy, running
from tests.running import ROOT
from tests.secured import ca_file, server_context

pytestmark = pytest.mark.processes

GOOD = token(1, life=86_400.0)
NAMES = {"console.corp.test": "127.0.0.1", "gateway.corp.test": "127.0.0.1"}


@pytest.fixture(scope="module")
async def gateway(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabGateway]:
    """A gateway that leads to ``wiki.corp.example``."""
    folder, authority = tmp_path_factory.mktemp("outbound"), Authority()
    made = LabGateway(folder / "gateway", authority, "connector-1", token=GOOD)
    home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
    with running_application() as wiki:
        apps = [application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{wiki}")]
        async with running_server(made, home, apps):
            yield made


@dataclass
class Connected:
    """A ``causeway connect`` that runs; what it said is in ``log``."""

    process: subprocess.Popen[bytes]
    listen: int
    log: Path

    async def served(self) -> bool:
        assert self.process.poll() is None, self.said()
        return await status(self.listen) == "200"

    def said(self) -> str:
        return self.log.read_text()


@contextlib.contextmanager
def connected(console: str, folder: Path, *more: str, **variables: str) -> Iterator[Connected]:
    (folder / "password").write_text("Correct-Horse-7\n")
    listen, log = free_port(), folder / "connect.log"
    command = [sys.executable, "-m", "edge.cli", "connect", "--console", console, "--instance", "sag-1"]
    command += ["--username", "alice.smith", "--password-file", str(folder / "password")]
    command += ["--listen", str(listen), *more]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment(**variables), cwd=ROOT
        )
    with ended(process, signal.SIGINT, 120):
        yield Connected(process, listen, log)


@contextlib.contextmanager
def secured_console(
    folder: Path, authority: Authority, gateway: LabGateway, *, name: str, gateways: str
) -> Iterator[FakeConsole]:
    """A console whose certificate comes from another CA than the gateway's."""
    console = FakeConsole()
    answer = grant(GOOD, f"https://{gateways}:{gateway.secure}", ca=gateway.authority.pem.decode())
    console.answers["login"] = console.answers["session/renew"] = lambda body: (200, answer)
    console.answers["logout"] = lambda body: (200, {})
    with console.running(server_context(folder, authority, name), name):
        yield console


@pytest.mark.parametrize("way", ["--ca-file", "SSL_CERT_FILE"])
async def test_a_console_of_a_companys_ca_and_gateways_of_their_own(
    way: str, gateway: LabGateway, authority: Authority, tmp_path: Path
) -> None:
    file = str(ca_file(tmp_path, authority))
    option, variable = (["--ca-file", file], {}) if way == "--ca-file" else ([], {way: file})
    with (
        secured_console(tmp_path, authority, gateway, name="127.0.0.1", gateways="127.0.0.1") as console,
        connected(console.url, tmp_path, *option, **variable) as client,
    ):
        await until(client.served, "the application")


async def test_a_ca_named_for_the_console_is_not_trusted_at_gateways(
    gateway: LabGateway, authority: Authority, tmp_path: Path
) -> None:
    """The other way round: the gateways' CA, given as the console's, does not let the console in."""
    file = str(ca_file(tmp_path, gateway.authority))
    with (
        secured_console(tmp_path, authority, gateway, name="127.0.0.1", gateways="127.0.0.1") as console,
        connected(console.url, tmp_path, "--ca-file", file) as client,
    ):
        assert client.process.wait(timeout=120) == 4
    assert "whom this machine does not trust. If the console's certificate comes from a CA" in client.said()


async def test_where_only_a_proxy_leads_out_console_and_gateways_are_reached_by_it(
    gateway: LabGateway, authority: Authority, tmp_path: Path
) -> None:
    file = str(ca_file(tmp_path, authority))
    place = {"name": "console.corp.test", "gateways": "gateway.corp.test"}
    with (
        running(HttpProxy(NAMES, credentials="anna:S3cret")) as proxy,
        secured_console(tmp_path, authority, gateway, **place) as console,
        connected(console.url, tmp_path, "--ca-file", file, "--verbose", HTTPS_PROXY=proxy.url) as client,
    ):
        await until(client.served, "the application by the proxy")
        assert {f"gateway.corp.test:{gateway.secure}", console.url.removeprefix("https://")} <= set(
            proxy.asked
        )
        assert "No gateway can be reached" not in client.said() and "S3cret" not in client.said()


async def test_a_proxy_that_does_not_let_to_the_gateways_is_named(
    gateway: LabGateway, authority: Authority, tmp_path: Path
) -> None:
    with (
        running(HttpProxy(refuses=403)) as proxy,
        secured_console(
            tmp_path, authority, gateway, name="127.0.0.1", gateways="gateway.corp.test"
        ) as console,
        connected(
            console.url, tmp_path, "--ca-file", str(ca_file(tmp_path, authority)), https_proxy=proxy.url
        ) as client,
    ):
        await until(lambda: "No gateway can be reached" in client.said(), "the loss")
        await until(
            lambda: f"gateway.corp.test:{gateway.secure} with status 403" in client.said(), "the reason"
        )
        assert "https_proxy names the proxy" in client.said()


async def test_a_socks_proxy_is_refused_for_gateways_in_one_sentence(
    gateway: LabGateway, authority: Authority, tmp_path: Path
) -> None:
    place = {"name": "console.corp.test", "gateways": "gateway.corp.test"}
    file = str(ca_file(tmp_path, authority))
    with (
        running(SocksProxy(NAMES)) as proxy,
        secured_console(tmp_path, authority, gateway, **place) as console,
        connected(console.url, tmp_path, "--ca-file", file, ALL_PROXY=proxy.url) as client,
    ):
        assert client.process.wait(timeout=120) == 1
        assert console.bodies("login"), "the console is reached by SOCKS"
    assert f"ALL_PROXY names {proxy.url}, but gateways" in client.said()
    assert "Traceback" not in client.said()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"HTTPS_PROXY": "http://u:S3cret@p.test:1", "NO_PROXY": "10.0.0.0/99"},
            "NO_PROXY holds '10.0.0.0/99'",
        ),
        ({"HTTPS_PROXY": "socks4://u:S3cret@p.test"}, "HTTPS_PROXY names a proxy by socks4://"),
        ({"ALL_PROXY": "http://u:S3cret@p.test:port"}, "ALL_PROXY must be an address"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE names /nowhere/ca.pem"),
    ],
)
def test_a_variable_that_cannot_be_followed_is_named(
    variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    with connected("https://console.corp.test", tmp_path, **variables) as client:
        assert client.process.wait(timeout=120) == 1
    said = client.said()
    assert words in said and "S3cret" not in said and "Traceback" not in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1080"},
        {"ALL_PROXY": "socks5://127.0.0.1:1080", "NO_PROXY": "127.0.0.1,localhost"},
        {"NO_PROXY": "localhost,127.0.0.1,fd07:b51a::/64"},
        {"NO_PROXY": "localhost,[::1]"},
    ],
)
async def test_this_machine_itself_is_reached_whatever_the_variables_say(
    variables: dict[str, str], gateway: LabGateway, tmp_path: Path
) -> None:
    console = FakeConsole()
    answer = grant(GOOD, f"https://127.0.0.1:{gateway.secure}", ca=gateway.authority.pem.decode())
    console.answers["login"] = lambda body: (200, answer)
    console.answers["logout"] = lambda body: (200, {})
    with console.running(), connected(console.url, tmp_path, **variables) as client:
        await until(client.served, "the application")
