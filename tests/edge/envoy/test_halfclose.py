"""A server's Envoy with the module by which CONNECT ends byte for byte, and without it."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.envoy import halfclose
from edge.envoy.module import build
from edge.envoy.process import EnvoyProcess
from tests.edge.connector_lab import LabGateway, application, enrolled_server, running_server, until
from tests.edge.gateway_pki import Authority
from tests.pipe import Cell, Origin, Proxied, connect, measure
from tests.ports import free_port

pytestmark = pytest.mark.processes

WITH, WITHOUT = "with the module", "without"


@dataclass
class World:
    gateway: LabGateway
    envoy: EnvoyProcess
    origin: Origin
    kind: str

    def open(self, authority: str) -> Proxied:
        return Proxied(self.gateway.access, authority)

    def status(self, authority: str) -> str:
        """What a CONNECT is answered."""
        with socket.create_connection(("127.0.0.1", self.gateway.access), 20) as stream:
            try:
                connect(stream, authority)
            except ConnectionError as error:
                return str(error).split(" ")[1]
            return "200"


@pytest.fixture(scope="module", params=[WITH, WITHOUT])
async def world(
    anyio_backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """One server and a gateway as plain as Envoy allows; ``pipe.example`` is the origin."""
    folder, authority = tmp_path_factory.mktemp("halfclose"), Authority()
    gateway = LabGateway(folder / "gateway", authority, "connector-1")
    home = enrolled_server(folder / "server", authority, "server-1", "connector-1")
    origin = Origin()
    applications = [
        application(["pipe.example"], [[1, 65535]], f"127.0.0.1:{origin.port}"),
        application(["closed.example"], [[1, 65535]], f"127.0.0.1:{free_port()}"),
        application(["nowhere.invalid", "localhost", "127.0.0.1", "::1", "0.0.0.0"], [[1, 65535]]),
    ]
    with closing(origin), pytest.MonkeyPatch.context() as patch:
        if request.param == WITHOUT:
            patch.setattr(halfclose, "usable", lambda: False)
        else:
            assert not halfclose.hindrance()
        async with running_server(gateway, home, applications, concurrency=2) as envoy:
            yield World(gateway, envoy, origin, request.param)


@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_what_an_application_sends_before_it_closes_arrives_whole(world: World, size: int) -> None:
    if world.kind == WITHOUT and size > 1000:
        pytest.skip("Envoy alone loses the end")
    for _ in range(3):
        verdict = measure(world.origin, lambda: world.open("pipe.example:80"), Cell("app closes", size))
        assert verdict.word == "whole", verdict


def test_the_next_flow_is_not_given_what_the_last_one_left_open(world: World) -> None:
    for _ in range(6):
        verdict = measure(world.origin, lambda: world.open("pipe.example:80"), Cell("app closes", 100_000))
        assert verdict.word == "whole", verdict


@pytest.mark.parametrize(
    ("authority", "status"),
    [
        ("pipe.example:80", "200"),
        ("closed.example:80", "503"),  # not 200 and then an end: a client's program can say what is wrong
        ("nowhere.invalid:80", "503"),
        ("elsewhere.example:80", "403"),
        ("localhost:{origin}", "403"),
        ("127.0.0.1:{origin}", "403"),
        ("[::1]:{origin}", "403"),
        ("0.0.0.0:{origin}", "403"),
    ],
)
def test_a_destination_is_answered_with_or_without_the_module(
    world: World, authority: str, status: str
) -> None:
    assert world.status(authority.format(origin=world.origin.port)) == status


async def test_flows_that_begin_and_end_at_once_leave_nothing_behind(world: World) -> None:
    """Neither connections of the internal listener nor pools, and Envoy is the same process afterwards."""
    before = world.envoy.incarnation

    def many() -> None:
        for _ in range(30):
            with world.open("pipe.example:80") as flow:  # closed at once
                flow.send(b"app_closes none 10 0\n")

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def empty() -> bool:
        names = "cluster.(ends|applications).upstream_cx_active|http.reverse.downstream_rq_active"
        lines = (await world.envoy.admin(f"/stats?filter=^({names})$")).splitlines()
        return all(line.endswith(": 0") for line in lines)

    await until(empty, "all connections closed")
    assert world.envoy.incarnation == before


def test_a_module_that_envoy_cannot_load_is_told_as_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libbroken.so"
    broken.write_text("not a library")
    monkeypatch.setattr("edge.envoy.process.library", lambda: broken)
    monkeypatch.setattr(halfclose, "NAME", "broken")
    monkeypatch.setattr(halfclose, "_LOAD", {"name": "broken"})
    halfclose.hindrance.cache_clear()
    try:
        assert "Envoy does not load the module" in halfclose.hindrance()
        monkeypatch.setattr("edge.envoy.module.FOLDER", tmp_path)
        halfclose.hindrance.cache_clear()
        assert "was not built for this machine" in halfclose.hindrance()
    finally:
        halfclose.hindrance.cache_clear()


def test_a_system_that_envoy_is_not_there_for_builds_no_module() -> None:
    with pytest.raises(build.BuildError, match="no Envoy for plan9-sparc"):
        build.compile_for("plan9-sparc", ["cc"])
