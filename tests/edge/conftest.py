"""What the tests of the edge share: a stand-in console, an echo service, gateways and a connector's server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.edge.console_lab import FakeConsole
from tests.edge.gateway_lab import Echo, GatewayLab
from tests.edge.gateway_network import Network
from tests.edge.gateway_pki import Authority
from tests.edge.server_lab import World, running_world


@pytest.fixture
def console() -> Iterator[FakeConsole]:
    with FakeConsole().running() as running:
        yield running


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with closing(Echo()) as service:
        yield service


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[GatewayLab]:
    """A gateway that runs, for one test alone."""
    with closing(GatewayLab(tmp_path)) as gateway:
        gateway.start()
        yield gateway


@pytest.fixture
def without_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let agents that the test starts find no module for Envoy."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, edge.envoy.module\n"
        "edge.envoy.module.library = lambda *_: pathlib.Path('/nowhere/libhalfclose.so')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A connector server whose agent the test starts."""
    async with running_world(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayLab]:
    """A gateway that runs, for the tests of a file that leave its configuration as they found it."""
    with closing(GatewayLab(tmp_path_factory.mktemp("gateway"))) as gateway:
        gateway.start()
        yield gateway
