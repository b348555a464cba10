"""HTTP from our machines: whose certificates count, which way it goes, and the words when it does not."""

from pathlib import Path

import httpx
import pytest

from edge.outbound.errors import OutboundError
from edge.outbound.http import client, failure
from tests.edge.gateway_pki import Authority
from tests.proxies import HttpProxy, Proxy, SocksProxy, running
from tests.secured import ca_file, server_context, web_server

NAMES = {"console.corp.test": "127.0.0.1", "fd00::7": "127.0.0.1"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority() -> Authority:
    return Authority()


async def get(url: str, ca: str = "") -> str:
    """Return the body, or the sentence on the failure."""
    try:
        async with client(url, ca=ca, timeout=20.0) as caller:
            return (await caller.get(url)).text
    except httpx.HTTPError as error:
        return await failure(error, url, lead="No answer", remedy="Name the CA.")


@pytest.mark.parametrize("way", ["--ca-file", "SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_a_ca_of_ones_own_is_trusted(
    way: str, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server(server_context(tmp_path, authority, "127.0.0.1")) as port:
        ca = ""
        if way == "--ca-file":
            ca = authority.pem.decode()
        elif way == "SSL_CERT_FILE":
            monkeypatch.setenv(way, str(ca_file(tmp_path, authority)))
        else:
            hashed = tmp_path / "store"
            hashed.mkdir()
            (hashed / f"{authority.hash}.0").write_bytes(authority.pem)
            monkeypatch.setenv(way, str(hashed))
        assert await get(f"https://127.0.0.1:{port}/x", ca) == "/x"


async def test_a_certificate_of_nobody_known_is_named_with_its_issuer_and_the_fix(
    tmp_path: Path, authority: Authority
) -> None:
    with web_server(server_context(tmp_path, authority, "127.0.0.1")) as port:
        told = await get(f"https://127.0.0.1:{port}/", Authority().pem.decode())
    assert told == (
        f"No answer. The certificate of 127.0.0.1:{port} (CN=machine, issued by CN=Test CA) comes from an issuer whom "
        "this machine does not trust. Name the CA."
    )


async def test_a_certificate_that_is_over(tmp_path: Path, authority: Authority) -> None:
    with web_server(server_context(tmp_path, authority, "127.0.0.1", days=-0.001)) as port:
        told = await get(f"https://127.0.0.1:{port}/", authority.pem.decode())
    assert "(CN=machine, issued by CN=Test CA) expired at " in told and "Have it renewed there" in told


async def test_a_certificate_for_other_names(tmp_path: Path, authority: Authority) -> None:
    with web_server(server_context(tmp_path, authority, "console.corp.test", "10.1.2.3")) as port:
        told = await get(f"https://127.0.0.1:{port}/", authority.pem.decode())
    assert "is for console.corp.test, 10.1.2.3, and not for 127.0.0.1" in told


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "which cannot be read: No such file or directory"),
        ("SSL_CERT_FILE", "/etc/hostname", "which holds no certificate in PEM"),
        ("SSL_CERT_DIR", "/nowhere", "which cannot be read"),
    ],
)
def test_a_store_that_is_none(variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OutboundError, match=f"^{variable} names {value}, {words}"):
        client("https://console.corp.test")


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
@pytest.mark.parametrize("host", ["console.corp.test", "[fd00::7]"])
async def test_https_goes_by_the_proxy_and_is_checked_by_the_name(
    kind: type[Proxy], host: str, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running(kind(NAMES, credentials="anna:S3cret")) as proxy,
        web_server(server_context(tmp_path, authority, "console.corp.test", "fd00::7")) as port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert await get(f"https://{host}:{port}/x", authority.pem.decode()) == "/x"
        assert proxy.asked == [f"{host.strip('[]')}:{port}"]
        told = await get(f"https://{host}:{port}/")
        assert "issued by CN=Test CA" in told, "the certificate is fetched by the proxy as well"


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
async def test_http_goes_by_the_proxy(kind: type[Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    with running(kind(NAMES)) as proxy, web_server() as port:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        assert await get(f"http://console.corp.test:{port}/x") == "/x"
        assert proxy.asked == [f"console.corp.test:{port}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_away_is_named_and_not_the_firewall(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", "http://anna:S3cret@127.0.0.1:1")
    told = await get(f"{scheme}://console.corp.test/")
    assert f"{scheme.upper()}_PROXY" in told and "http://127.0.0.1:1" in told and "S3cret" not in told


async def test_a_proxy_with_tls_of_its_own(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is judged by the system's store, as every other."""
    proxy = HttpProxy(NAMES)
    context = server_context(tmp_path, authority, "127.0.0.1", "console.corp.test")
    proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
    monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
    with running(proxy), web_server(context) as port:
        assert await get(f"https://console.corp.test:{port}/x") == "/x"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, Authority(), "other.pem")))
        told = await get(f"https://console.corp.test:{port}/x", authority.pem.decode())
    assert f"HTTPS_PROXY names the proxy https://127.0.0.1:{proxy.port}, with which TLS cannot begin" in told
