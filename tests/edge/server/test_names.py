"""Names of applications mean what the server's name servers say now, and no longer what they said."""

import http.server
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.envoy import server
from edge.envoy.parts import address
from edge.envoy.process import EnvoyProcess
from tests.edge.connector_lab import (
    Authority,
    LabGateway,
    application,
    curl,
    enrolled_server,
    running_server,
    until,
)
from tests.edge.name_server import Answer, NameServer
from tests.quiet import QuietHandler, QuietHTTPServer, serving

pytestmark = pytest.mark.processes

NAME = "moving.corp.example"


class Where(QuietHandler, http.server.BaseHTTPRequestHandler):
    """Says at which address it was reached, and closes."""

    def do_GET(self) -> None:
        self.answer(200, self.connection.getsockname()[0].encode())


@dataclass
class Lab:
    """A server whose one application is dialled by the name that `names` speaks of."""

    gateway: LabGateway
    names: NameServer
    envoy: EnvoyProcess

    async def has_forgotten(self) -> bool:
        """Tell whether the server's Envoy keeps no name any more."""
        stats = json.loads(await self.envoy.admin("/stats?format=json&filter=dns_cache.*num_hosts"))["stats"]
        return not any(each["value"] for each in stats)

    async def reached(self, *, tunnel: bool) -> str:
        """Return the address at which the application is reached; the status of a refusal otherwise."""
        through = [
            "--proxy",
            f"http://127.0.0.1:{self.gateway.access}",
            *(["--proxytunnel"] if tunnel else []),
        ]
        written = "%{http_connect}" if tunnel else "%{http_code}"
        _, output, _ = await curl(*through, "--write-out", f"\n{written}", "http://app.corp.example/")
        body, _, status = output.rpartition("\n")
        return body if status == "200" else status


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    authority = Authority()
    gateway = LabGateway(tmp_path / "gateway", authority, "connector-1")
    home = enrolled_server(tmp_path / "server", authority, "server-1", "connector-1")
    names = NameServer()
    with serving(names), serving(QuietHTTPServer(("", 0), Where)) as port:
        own = address("127.0.0.1", names.server_address[1])
        own["socket_address"]["protocol"] = "UDP"
        monkeypatch.setattr(server, "NAME_SERVERS", (own,))
        applications = [application(["app.corp.example"], [[80, 80]], f"{NAME}:{port}")]
        async with running_server(gateway, home, applications) as envoy:
            yield Lab(gateway, names, envoy)


@pytest.mark.parametrize("tunnel", [True, False])
async def test_what_a_name_means_is_followed(lab: Lab, tunnel: bool) -> None:
    async def is_now(expected: str) -> bool:
        return await lab.reached(tunnel=tunnel) == expected

    assert await is_now("503"), "no such name"
    lab.names.names[NAME] = Answer("127.0.0.1")
    await until(lambda: is_now("127.0.0.1"), "the name, which exists now")
    lab.names.names[NAME] = Answer("127.0.0.2")
    await until(lambda: is_now("127.0.0.2"), "the new address")
    del lab.names.names[NAME]
    await until(lab.has_forgotten, "nothing in the cache, since nobody asks")
    assert await is_now("503"), "the name does not exist any more"
    lab.names.names[NAME] = Answer("127.0.0.1")
    await until(lambda: is_now("127.0.0.1"), "the name, once more")


async def test_an_answer_is_kept_as_long_as_it_lives(lab: Lab) -> None:
    lab.names.names[NAME] = Answer("127.0.0.1", ttl=3600)
    for _ in range(5):
        assert await lab.reached(tunnel=True) == "127.0.0.1"
    assert lab.names.asked.count(NAME) == 1
