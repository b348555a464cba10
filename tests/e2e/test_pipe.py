"""Every byte arrives, whoever ends first and however; a reset on one side is a reset on the other (docs/clients.md).

`python -m bench.pipe` has more and larger cells, and other programs beside them.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bench.register import HOST, PORT
from tests.demo import Demo
from tests.e2e.recipes import application
from tests.pipe import Cell, Origin, measure
from tests.pipe_demo import CAPPED, Ways, fitting, ways

MB = 1_000_000
CELLS = [
    *(Cell("app closes", 1000), Cell("app closes", 3 * MB), Cell("app closes", 3 * MB, 2 * MB)),
    *(Cell("app half-closes", 3 * MB), Cell("app resets", MB // 10)),
    *(Cell("client closes", 1000), Cell("client closes", 3 * MB), Cell("client closes", 3 * MB, 2 * MB)),
    Cell("client goes on", 3 * MB),
    *(Cell("client half-closes", 1000), Cell("client half-closes", 3 * MB), Cell("client resets", MB // 10)),
    Cell("both", 3 * MB),
]
WAYS = [
    f"{way} {path}"
    for way in ("h1", "h2", "forward", "proxy", "http", "http proxy")
    for path in ("connector", "cloud")
]


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with closing(Origin()) as made:
        yield made


@pytest.fixture(scope="module")
def served(demo: Demo, origin: Origin) -> Iterator[Demo]:
    with application(demo, HOST, str(PORT), f"127.0.0.1:{origin.port}"):
        demo.servers_follow()
        yield demo


@pytest.fixture(scope="module")
def product(served: Demo, origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    with ways(served, origin, tmp_path_factory.mktemp("pipe")) as found:
        yield found


@pytest.fixture(scope="module")
def capped(served: Demo, origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    with ways(served, origin, tmp_path_factory.mktemp("capped"), served.capped_account()) as found:
        yield found


def not_whole(found: Ways, origin: Origin, way: str, cells: list[Cell]) -> dict[str, str]:
    if way not in found:
        pytest.skip("this system has one loopback address only, hence no cloud networks")
    verdicts = {str(cell): measure(origin, found[way], cell) for cell in fitting(way, cells)}
    return {cell: f"{each.word}: {each.detail}" for cell, each in verdicts.items() if each.word != "whole"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", WAYS)
def test_every_byte_arrives_whoever_ends_first(product: Ways, origin: Origin, way: str) -> None:
    assert not_whole(product, origin, way, CELLS) == {}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", WAYS)
def test_of_an_account_with_a_bandwidth_as_well(capped: Ways, origin: Origin, way: str) -> None:
    assert not_whole(capped, origin, way, CAPPED) == {}
