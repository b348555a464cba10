"""A connector server where only a proxy leads out: tunnels by CONNECT, and what is said where they cannot go."""

import json
from pathlib import Path

import pytest

from edge.envoy import proxied
from tests.edge.connector_lab import enrolled_server, until
from tests.edge.console_lab import FakeConsole
from tests.edge.gateway_pki import Authority
from tests.edge.server_lab import World
from tests.outbound import VARIABLES, environment
from tests.proxies import HttpProxy, SocksProxy, running
from tests.running import causeway
from tests.secured import ca_file, server_context

pytestmark = pytest.mark.processes

NAMES = {"gateway.corp.test": "127.0.0.1", "console.corp.test": "127.0.0.1"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def move(world: World) -> None:
    """Let the console name the gateway by a name that only the proxy knows."""
    place = {"id": world.gateway.id, "host": "gateway.corp.test", "port": world.gateway.tunnels}
    world.configuration = {**world.configuration, "gateways": [place]}


@pytest.mark.parametrize("credentials", ["", "anna:S3cret-7"])
async def test_tunnels_go_by_the_proxy_and_its_password_stays_in_one_file(
    credentials: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(HttpProxy(NAMES, credentials=credentials)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        move(world)
        await world.begin()
        assert f"gateway.corp.test:{world.gateway.tunnels}" in proxy.asked
        await until(lambda: world.last_report()["applied_version"] == 1, "the report")

        async def both() -> bool:
            return await world.gateway.live_tunnels() == 2

        await until(both, "both tunnels of Envoy's one thread, and no more")
    kept = [file.read_text(errors="replace") for file in world.home.path.rglob("*") if file.is_file()]
    holders = [text for text in kept if "YW5uYTpTM2NyZXQtNw==" in text or "S3cret-7" in text]
    assert len(holders) == (1 if credentials else 0), "the password is in one file, and in no log"
    if credentials:
        assert "YW5uYTpTM2NyZXQtNw==" in world.home.file(f"envoy/{proxied.FILE}").read_text()


async def test_a_server_dials_anew_when_the_proxy_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = HttpProxy(NAMES, refuses=403)
    with running(proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        move(world)
        world.start()
        await until(lambda: proxy.asked, "an attempt")
        assert await world.unserved()
        await until(lambda: world.told("which refuses the way to gateway.corp.test"), "the reason in the log")
        proxy.refuses = 0
        await until(world.served, "the application, once the proxy lets through")


async def test_a_socks_proxy_is_named_in_the_log_and_by_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(SocksProxy(NAMES)) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        move(world)
        world.start()
        words = (
            f"ALL_PROXY names {proxy.url}, but gateways can be reached by a proxy of the kind http:// alone."
        )
        await until(lambda: world.told(words), "the sentence")
        assert "Traceback" not in world.log.read_text()


def check(*options: str, **variables: str) -> list[dict[str, str]]:
    """Run ``causeway check``; return what it found."""
    done = causeway("check", "--json", *options, env=environment(**variables))
    assert "Traceback" not in done.stderr, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def found_by(name: str, found: list[dict[str, str]]) -> dict[str, str]:
    (one,) = [each for each in found if each["name"] == name]
    return one


def test_check_goes_by_the_proxy_before_the_enrollment(tmp_path: Path, authority: Authority) -> None:
    console = FakeConsole()
    context = server_context(tmp_path, authority, "console.corp.test")
    home = ("--home", str(tmp_path / "home"))
    with console.running(context, "console.corp.test"):
        options = ("--console", console.url, "--ca-file", str(ca_file(tmp_path, authority)), *home)
        with running(HttpProxy(NAMES)) as proxy:
            found = check(*options, HTTPS_PROXY=proxy.url)
            assert (
                found_by("console", found)["severity"] == "ok"
                and found_by("proxy", found)["severity"] == "ok"
            )
            nobody = found_by("console", check("--console", console.url, *home, HTTPS_PROXY=proxy.url))
            assert "issued by CN=Test CA" in nobody["finding"] and "--ca-file" in nobody["fix"]
            assert "firewall" not in nobody["fix"]
        gone = found_by("console", check(*options, HTTPS_PROXY=proxy.url))
        assert "HTTPS_PROXY names the proxy" in gone["finding"] and "firewall" not in gone["fix"]
        with running(SocksProxy(NAMES)) as socks:
            found = check(*options, ALL_PROXY=socks.url)
            assert found_by("console", found)["severity"] == "ok"
            warned = found_by("proxy", found)
            assert warned["severity"] == "warning" and "ALL_PROXY names socks5://" in warned["fix"]
        broken = check(*options, HTTPS_PROXY=proxy.url, NO_PROXY="fd00::/999")
        assert found_by("proxy", broken)["finding"].startswith("NO_PROXY holds 'fd00::/999'")


def test_check_of_an_enrolled_server_names_what_hinders_the_way_to_a_gateway(
    tmp_path: Path, authority: Authority
) -> None:
    home = enrolled_server(tmp_path / "server", authority, "server-1", "connector-1")
    gateways = [{"id": "gateway-1", "host": "gateway.corp.test", "port": 8443}]
    server = {"id": "server-1", "enabled": True}
    connector = {"id": "connector-1", "name": "office", "enabled": True}
    document = {"version": 1, "server": server, "connector": connector, "gateways": gateways}
    home.write_json("config.json", document | {"applications": []})
    options = ("--home", str(home.path))
    with running(HttpProxy(refuses=403)) as proxy:
        refused = found_by("gateway gateway-1", check(*options, HTTPS_PROXY=proxy.url))
    assert refused["severity"] == "error" and "gateway.corp.test:8443 with status 403" in refused["finding"]
    socks = found_by("gateway gateway-1", check(*options, ALL_PROXY="socks5://127.0.0.1:1"))
    assert socks["severity"] == "error" and "ALL_PROXY names" in socks["finding"]


def test_enrollment_keeps_the_consoles_ca_for_the_agent(tmp_path: Path, authority: Authority) -> None:
    console = FakeConsole()
    console.answers["enroll"] = lambda body: (403, {"error": {"code": "No", "message": "The code was used."}})
    with console.running(server_context(tmp_path, authority, "127.0.0.1")):
        options = ("connector", "enroll", "--console", console.url, "--home", str(tmp_path / "home"))
        file = ("--ca-file", str(ca_file(tmp_path, authority)))
        done = causeway(*options, *file, env=environment(CAUSEWAY_CODE="ABCD"))
        assert done.returncode == 1 and done.stderr.strip().endswith("The code was used.")
        assert not (tmp_path / "home").exists(), "a failed enrollment leaves nothing"
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "console-ca.pem").write_bytes(authority.pem)
        done = causeway(*options, env=environment(CAUSEWAY_CODE="ABCD"))
        assert done.stderr.strip().endswith("The code was used."), "the CA that the home has is trusted"
        assert (tmp_path / "home" / "console-ca.pem").read_bytes() == authority.pem
