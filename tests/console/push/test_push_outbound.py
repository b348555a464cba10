"""Webhooks and mail in other people's networks: certificates of a company's CA, proxies, every mode of TLS."""

import contextlib
import http.server
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from console.core import audit
from console.core.errors import Invalid
from console.core.sealed import unseal
from console.models import PushMessage
from console.push import services
from console.push.models import PURPOSE
from console.push.sending import Answer, send
from tests.console.push_receivers import MailReceiver, mail_receiver
from tests.edge.gateway_pki import Authority
from tests.outbound import VARIABLES
from tests.proxies import HttpProxy, Proxy, SocksProxy, running
from tests.quiet import QuietHandler, QuietHTTPServer, serving
from tests.secured import ca_file, server_context

# OpenSSL keeps the real clock, so that under another day no certificate would be good.
pytestmark = [pytest.mark.django_db, pytest.mark.processes]
PUBLIC = "8.8.8.8"  # any address of the internet: nothing is sent there
HOST = "hooks.corp.test"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The console's resolver knows the receiver by a public address; what was looked up."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def answers(host: Any, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        looked_up.append(str(host))
        return real(PUBLIC if host == HOST else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    return looked_up


@contextlib.contextmanager
def receiver(secured: ssl.SSLContext | None) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A receiver of webhooks: its port, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(QuietHandler, http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append({"host": self.headers["host"], **body})
            self.answer(200, b"ok")

    server = QuietHTTPServer(("127.0.0.1", 0), Handler)
    if secured is not None:
        server.socket = secured.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        yield port, got


def sent(kind: str, stored: str = "", **values: str) -> Answer:
    """Send a message by a new channel of that kind. `stored`: the address that it then has."""
    channel, _ = services.channel_create(name=kind, kind=kind, actor=audit.System("test"), **values)
    message = PushMessage(kind="alerts", title="Firing: x", text="In words.", url="http://testserver/alerts/")
    kept = unseal(PURPOSE, channel.sealed)
    return send(channel, message, kept | {"url": stored} if stored else kept)


# -- Webhooks ---------------------------------------------------------------------------------------------------------


def test_a_receiver_of_the_companys_ca_gets_its_message(
    tmp_path: Path, authority: Authority, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    with receiver(server_context(tmp_path, authority, "127.0.0.1")) as (port, got):
        url = f"https://127.0.0.1:{port}/hook?token=t0p-53cret"
        refused = sent("webhook", url=url)
        assert not refused.ok and got == [] and "t0p-53cret" not in refused.text
        assert f"The certificate of 127.0.0.1:{port} (CN=machine, issued by CN=Test CA)" in refused.text
        assert refused.text.endswith("then start console and worker anew.")
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
        assert sent("slack", url=url).ok
        assert len(got) == 1


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_by_a_proxy_the_checked_address_is_asked_for_and_the_name_is_checked(
    kind: type[Proxy],
    known: list[str],
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy that looked the name up itself could be led to another address than the one that was checked."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
    with (
        running(kind({PUBLIC: "127.0.0.1"}, credentials="anna:S3cret")) as proxy,
        receiver(server_context(tmp_path, authority, HOST)) as (port, got),
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answer = sent("webhook", url=f"https://{HOST}:{port}/hook")
        assert answer.ok, answer
        assert proxy.asked == [f"{PUBLIC}:{port}"] and known.count(HOST) == 1
        assert got[0]["host"] == f"{HOST}:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[fd00::1]", "localhost", "169.254.169.254"])
def test_no_proxy_is_asked_for_a_private_address(
    host: str, known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when the address is typed in, nor when a channel has it already."""
    with running(HttpProxy({"10.1.2.3": "127.0.0.1"})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(Invalid, match="CAUSEWAY_PUSH_ALLOW_PRIVATE"):
            sent("webhook", url=f"https://{host}/hook")
        answer = sent("webhook", url=f"https://{HOST}/hook", stored=f"https://{host}/hook")
        assert not answer.ok and "CAUSEWAY_PUSH_ALLOW_PRIVATE" in answer.text and proxy.asked == []


def test_a_name_that_only_the_proxy_knows(
    tmp_path: Path, authority: Authority, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
    with (
        running(HttpProxy({HOST: "127.0.0.1"})) as proxy,
        receiver(server_context(tmp_path, authority, HOST)) as (port, got),
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        refused = sent("webhook", url=f"https://{HOST}:{port}/hook")
        assert not refused.ok and "looks a receiver's name up by itself" in refused.text and not proxy.asked
        settings.PUSH_ALLOW_PRIVATE = True
        assert sent("slack", url=f"https://{HOST}:{port}/hook").ok
        assert proxy.asked == [f"{HOST}:{port}"] and len(got) == 1


def test_plain_http_goes_by_the_proxy_of_http(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PUSH_ALLOW_PRIVATE = True
    with running(HttpProxy({HOST: "127.0.0.1"})) as proxy, receiver(None) as (port, got):
        monkeypatch.setenv("http_proxy", proxy.url)
        assert sent("webhook", url=f"http://{HOST}:{port}/hook").ok
        assert len(got) == 1 and proxy.asked == [f"{HOST}:{port}"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"HTTPS_PROXY": "http://anna:S3cret@127.0.0.1:1"},
            "HTTPS_PROXY names the proxy http://127.0.0.1:1, which",
        ),
        ({"HTTPS_PROXY": "socks4://anna:S3cret@p.test"}, "HTTPS_PROXY names a proxy by socks4://"),
        ({"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "a/b"}, "NO_PROXY holds 'a/b'"),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE names /nowhere"),
    ],
)
def test_what_hinders_is_named_in_the_answer(
    variables: dict[str, str], words: str, known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = sent("webhook", url=f"https://{HOST}/hook")
    assert not answer.ok and words in answer.text and "S3cret" not in answer.text


# -- Mail -------------------------------------------------------------------------------------------------------------

MODES = ["plain", "STARTTLS", "TLS"]


@contextlib.contextmanager
def mail_server(mode: str, folder: Path, authority: Authority, settings: Settings) -> Iterator[MailReceiver]:
    """A mail server of one mode, which the settings name as ``mail.corp.test``."""
    settings.EMAIL_BACKEND = "console.core.smtp.EmailBackend"
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = mode == "STARTTLS", mode == "TLS"
    secured = None if mode == "plain" else server_context(folder, authority, "mail.corp.test", "127.0.0.1")
    with mail_receiver(secured, starttls=mode == "STARTTLS") as sink:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        yield sink


@pytest.mark.parametrize("mode", MODES)
def test_mail_by_every_mode_of_tls_trusts_the_companys_ca(
    mode: str, tmp_path: Path, authority: Authority, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(mode, tmp_path, authority, settings) as sink:
        if mode != "plain":
            refused = sent("email", recipients="a@corp.example")
            assert not refused.ok and sink.mails == []
            place = f"127.0.0.1:{sink.port} (CN=machine, issued by CN=Test CA)"
            assert place in refused.text and "SSL_CERT_FILE" in refused.text
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
        channel = services.channel_create(
            name="b", kind="email", actor=audit.System("test"), recipients="b@corp.example"
        )[0]
        message = PushMessage(kind="alerts", title="x", text="In words.", url="http://testserver/")
        answer = send(channel, message, unseal(PURPOSE, channel.sealed))
        assert answer.ok and len(sink.mails) == 1, answer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_mail_goes_by_the_proxy_for_everything(
    mode: str,
    kind: type[Proxy],
    tmp_path: Path,
    authority: Authority,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
    with (
        mail_server(mode, tmp_path, authority, settings) as sink,
        running(kind({"mail.corp.test": "127.0.0.1"}, credentials="anna:S3cret")) as proxy,
    ):
        settings.EMAIL_HOST = "mail.corp.test"
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        answer = sent("email", recipients="a@corp.example")
        assert answer.ok and len(sink.mails) == 1, answer
        assert proxy.asked == [f"mail.corp.test:{sink.port}"]


def test_a_proxy_in_the_way_of_mail_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "console.core.smtp.EmailBackend", "mail.corp.test"
    with running(HttpProxy(refuses=403)) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        answer = sent("email", recipients="a@corp.example")
    assert not answer.ok and "ALL_PROXY names the proxy" in answer.text and "status 403" in answer.text
