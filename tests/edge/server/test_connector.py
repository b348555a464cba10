"""A connector server's Envoy between a gateway and applications: what it serves, what it refuses, what it counts."""

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.envoy.process import EnvoyProcess
from edge.envoy.server import ARGUMENTS, bootstrap, write_configuration
from edge.home import Home
from edge.machine.spool import Spool
from edge.protocol.configuration import ServerConfiguration
from edge.server.meter import KIND, Meter
from tests.edge.connector_lab import (
    LabGateway,
    application,
    configuration,
    curl,
    enrolled_server,
    running_application,
    running_server,
    status,
    until,
)
from tests.edge.gateway_pki import Authority
from tests.edge.server_lab import open_flow

pytestmark = pytest.mark.processes


def own_address() -> str | None:
    """An address of this machine that is neither loopback nor link-local."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith(("127.", "169.254.")):
                return each.address
    return None


@dataclass
class Lab:
    """A gateway, and a server with its applications on port `wiki` and `other`."""

    folder: Path
    gateway: LabGateway
    home: Home
    wiki: int
    other: int
    envoy: EnvoyProcess = field(init=False)

    def applications(self) -> list[dict[str, Any]]:
        found = [
            application(["wiki.corp.example"], [[80, 80]], f"127.0.0.1:{self.wiki}"),
            application(["*.corp.example"], [[22, 22], [self.other, self.other]], "localhost"),
            application(["10.0.0.0/8", "fd00::/16"], [[1000, 2000]], f"127.0.0.1:{self.other}"),
            application(["10.1.0.0/16"], [[80, 80]], f"127.0.0.1:{self.wiki}"),
            application(["localhost", "127.0.0.1", "::1", "0.0.0.0"], [[1, 65535]]),
        ]
        if address := own_address():
            found.append(application([address], [[self.wiki, self.wiki]]))
        return found

    async def ask(
        self, url: str, *more: str, tunnel: bool, gateway: LabGateway | None = None
    ) -> dict[str, Any] | int:
        """Return what the application was asked, or the status of a refusal."""
        written = "\n%{http_connect}" if tunnel else "\n%{http_code}"
        arguments = [*by(gateway or self.gateway, tunnel=tunnel), "--globoff", "--write-out", written]
        code, output, errors = await curl(*arguments, *more, url)
        body, _, number = output.rpartition("\n")
        if number != "200":
            return int(number)
        assert code == 0, errors
        return json.loads(body)

    def apply(
        self, *gateways: LabGateway, version: int, applications: list[dict[str, Any]] | None = None
    ) -> None:
        wanted = self.applications() if applications is None else applications
        document = configuration(self.home, list(gateways), wanted, version=version)
        write_configuration(self.home, ServerConfiguration.decode(document))


def by(gateway: LabGateway, *, tunnel: bool = False) -> list[str]:
    """Options of curl: through a gateway, by CONNECT or by plain requests."""
    return ["--proxy", f"http://127.0.0.1:{gateway.access}", *(["--proxytunnel"] if tunnel else [])]


@pytest.fixture(scope="module")
async def lab(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder, authority = tmp_path_factory.mktemp("connector"), Authority()
    gateway = LabGateway(folder / "gateway", authority, "connector-1")
    home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
    with running_application() as wiki, running_application() as other:
        lab = Lab(folder, gateway, home, wiki, other)
        async with running_server(gateway, home, lab.applications()) as lab.envoy:
            yield lab


@pytest.mark.parametrize("tunnel", [True, False])
@pytest.mark.parametrize(
    ("url", "application"),
    [
        ("http://wiki.corp.example/", "wiki"),
        ("http://WIKI.corp.example./", "wiki"),
        ("http://wiki.corp.example:{other}/", "other"),  # by the wildcard, whose origin keeps the port
        ("http://a.b.corp.example:{other}/", "other"),
        ("http://10.200.3.4:1500/", "other"),
        ("http://10.1.3.4/", "wiki"),
        ("http://[fd00::1:2]:1000/", "other"),
    ],
)
async def test_an_address_and_port_of_an_application_reach_it(
    lab: Lab, url: str, application: str, tunnel: bool
) -> None:
    answer = await lab.ask(url.format(other=lab.other), tunnel=tunnel)
    assert isinstance(answer, dict), f"refused with {answer}"
    assert answer["port"] == getattr(lab, application)


@pytest.mark.parametrize("tunnel", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "http://wiki.corp.example:81/",
        "http://corp.example:{other}/",
        "http://wiki.corp.example.evil.example:80/",
        "http://10.200.3.4:2001/",
        "http://11.0.0.1:1500/",
        "http://[fd01::1]:1000/",
        "http://elsewhere.example/",
        # Named by an application, but this very machine, and without an origin that says so.
        "http://localhost:{wiki}/",
        "http://127.0.0.1:{wiki}/",
        "http://0.0.0.0:{wiki}/",
        "http://[::1]:{wiki}/",
    ],
)
async def test_everything_else_is_refused(lab: Lab, url: str, tunnel: bool) -> None:
    assert await lab.ask(url.format(wiki=lab.wiki, other=lab.other), tunnel=tunnel) == 403


async def test_a_refusal_says_why_and_when_to_try_again(lab: Lab) -> None:
    _, output, _ = await curl(*by(lab.gateway), "--include", "http://elsewhere.example/")
    head = output.lower()
    assert "x-causeway-reason: notserved" in head and "retry-after: 1" in head
    assert "No application of this connector server has this address and port" in output


async def test_an_address_without_origin_is_dialled_itself(lab: Lab) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has only loopback addresses")
    answer = await lab.ask(f"http://{address}:{lab.wiki}/", tunnel=True)
    assert isinstance(answer, dict) and answer["port"] == lab.wiki


async def test_the_application_sees_its_own_name_and_none_of_our_headers(lab: Lab) -> None:
    secrets = ["X-Causeway-Account: user-1", "X-Envoy-Original-Path: /x", "Proxy-Authorization: Basic eA=="]
    more = [part for header in secrets for part in ("--header", header)]
    answer = await lab.ask("http://wiki.corp.example/page", *more, tunnel=False)
    assert isinstance(answer, dict)
    assert answer["headers"]["host"] == "wiki.corp.example"
    names = set(answer["headers"])
    assert not {name for name in names if name.startswith(("x-causeway", "x-envoy"))}
    assert not names & {"proxy-authorization", "x-connector"}


async def test_applications_and_gateways_change_without_a_restart_or_a_broken_flow(lab: Lab) -> None:
    before = lab.envoy.incarnation
    second = LabGateway(lab.folder / "gateway-2", lab.gateway.authority, "connector-1", id="gateway-2")

    async def refused() -> bool:
        return await status(lab.gateway.access) == "403"

    async def hung_up() -> bool:
        return not await second.live_tunnels()

    try:
        async with open_flow(lab.gateway) as lives:
            await second.start()
            try:
                lab.apply(lab.gateway, second, version=2, applications=[])
                await until(second.live_tunnels, "tunnels to the new gateway")
                await until(refused, "the routes gone")
            finally:
                lab.apply(lab.gateway, version=3)
            await until(hung_up, "no tunnels to the gateway that was taken off the list")
            assert await lives()
        assert lab.envoy.incarnation == before
        assert isinstance(await lab.ask("http://wiki.corp.example/", tunnel=True), dict)
    finally:
        await second.envoy.stop()


async def test_new_certificates_are_taken_without_a_restart(lab: Lab) -> None:
    """Seen in Envoy's own list of certificates, and by the next tunnels: to a gateway that was not there before."""
    before = lab.envoy.incarnation
    names = {"outer": ["server-1", "uri:connector-1"], "inner": ["connector-1"]}
    lab.gateway.authority.write(lab.home, days=333, **names)

    async def taken() -> bool:
        listed = json.loads(await lab.envoy.admin("/certs"))["certificates"]
        chains = filter(None, (each.get("cert_chain") for each in listed))
        days = [int(chain[0]["days_until_expiration"]) for chain in chains]
        return bool(days) and min(days) > 300

    await until(taken, "the new certificates")
    assert lab.envoy.incarnation == before


@pytest.mark.parametrize(
    ("identity", "outer", "inner", "tunnels"),
    [
        # The handshake claims the victim's names with another connector's certificate.
        (("server-1", "connector-1"), ["server-9", "uri:connector-9"], ["connector-9"], 0),
        (("server-9", "connector-1"), ["server-9", "uri:connector-9"], ["connector-9"], 0),
        # The handshake is honest, but inside another connector's name is shown.
        (("server-9", "connector-2"), ["server-9", "uri:connector-2"], ["connector-9"], 2),
    ],
)
async def test_an_impostor_gets_no_flow(
    lab: Lab, tmp_path: Path, identity: tuple[str, str], outer: list[str], inner: list[str], tunnels: int
) -> None:
    gateway = LabGateway(tmp_path / "gateway", lab.gateway.authority, identity[1])
    home = enrolled_server(tmp_path / "impostor", lab.gateway.authority, *identity)
    lab.gateway.authority.write(home, outer=outer, inner=inner)
    envoy = EnvoyProcess(home.file("envoy"), concurrency=1, arguments=ARGUMENTS)

    async def tried() -> bool:
        stats = await gateway.envoy.admin("/stats?filter=reverse_tunnel.handshake")
        counts = dict(line.split(": ") for line in stats.splitlines() if ": " in line)
        return sum(int(value) for value in counts.values()) > 0

    try:
        await gateway.start()
        document = configuration(home, [gateway], lab.applications())
        write_configuration(home, ServerConfiguration.decode(document))
        await envoy.start(bootstrap(home.identity))
        await until(tried, "a handshake")
        assert await gateway.live_tunnels() == tunnels
        assert await lab.ask("http://wiki.corp.example/", tunnel=True, gateway=gateway) == 503
    finally:
        await envoy.stop()
        await gateway.envoy.stop()


@pytest.mark.parametrize("tunnel", [True, False])
async def test_bytes_are_counted_within_five_percent(lab: Lab, tmp_path: Path, tunnel: bool) -> None:
    down, up = 50_000_000, 5_000_000
    payload = tmp_path / "payload"
    payload.write_bytes(b"x" * up)
    spool = Spool(tmp_path / "spool.db")
    through = by(lab.gateway, tunnel=tunnel)
    await Meter(lab.envoy, spool).take()
    counting = ("--output", "/dev/null", "--write-out", "%{size_download}")
    code, size, _ = await curl(*through, *counting, f"http://wiki.corp.example/bytes/{down}")
    assert (code, size) == (0, str(down))
    # A new agent, while Envoy lives on: nothing lost, nothing doubled.
    meter = Meter(lab.envoy, spool)
    await meter.take()
    assert (await curl(*through, "--data-binary", f"@{payload}", "http://wiki.corp.example/"))[0] == 0
    await meter.take()
    samples = spool.peek(KIND, 10)[1]
    assert len(samples) == 2
    assert sum(sample["tx_bytes"] for sample in samples) == pytest.approx(down, rel=0.05)
    assert sum(sample["rx_bytes"] for sample in samples) == pytest.approx(up, rel=0.05)


async def test_a_restart_of_envoy_makes_no_spike(lab: Lab, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    meter = Meter(lab.envoy, spool)
    await meter.take()
    try:
        await lab.envoy.stop()
        await meter.take()
    finally:
        await lab.envoy.start(bootstrap(lab.home.identity))
    await until(lab.gateway.live_tunnels, "tunnels after the restart")

    async def served() -> bool:
        return await status(lab.gateway.access, "/bytes/1000000") == "200"

    await until(served, "a download through the new tunnels")
    await meter.take()
    samples = spool.peek(KIND, 10)[1]
    assert len(samples) == 1, "while Envoy is down nothing is measured, and nothing made up"
    assert 1_000_000 <= samples[0]["tx_bytes"] < 3_000_000
