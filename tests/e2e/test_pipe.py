"""Every byte arrives, whoever ends first; where that cannot be, the client sees an error (docs/clients.md).

Only what holds is tested here. `python -m bench.pipe` measures all ways and tells what is lost where.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.register import HOST, PORT
from tests.demo import Demo
from tests.e2e.recipes import application
from tests.pipe import Cell, Origin, measure
from tests.pipe_demo import Ways, ways

KB, MB = 1000, 1_000_000
APP = [Cell("app closes", 1000), Cell("app closes", 3 * MB), Cell("app closes", 3 * MB, 2 * MB)]
CLIENT = [Cell("client closes", 1000), Cell("client closes", 3 * MB), Cell("client closes", 3 * MB, 2 * MB)]
WAITS = [Cell("client half-closes", 1000), Cell("client half-closes", 3 * MB)]
RESET = [Cell("app resets", 100 * KB)]

WHOLE = {
    "h1 connector": APP,
    "h1 cloud": APP,
    "h2 connector": [*CLIENT, *WAITS, *RESET],
    "h2 cloud": [*CLIENT, *WAITS],
    "forward connector": [*CLIENT, *WAITS, *RESET],
    "forward cloud": [*CLIENT, *WAITS],
}
# Here an end may be lost, but never without a word.
HONEST = {"h2 connector": APP, "h2 cloud": APP, "forward connector": APP, "forward cloud": APP}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def product(demo: Demo, origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    with application(demo, HOST, str(PORT), f"127.0.0.1:{origin.port}"):
        demo.servers_follow()
        with ways(demo, origin, tmp_path_factory.mktemp("pipe")) as found:
            yield found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", WHOLE)
def test_every_byte_arrives_whoever_ends_first(product: Ways, origin: Origin, way: str) -> None:
    if way not in product:
        pytest.skip("this system has one loopback address only, hence no cloud networks")
    verdicts = {str(cell): measure(origin, product[way], cell) for cell in WHOLE[way]}
    assert {cell: verdict for cell, verdict in verdicts.items() if verdict.word != "whole"} == {}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", HONEST)
def test_what_was_lost_at_an_end_is_an_error_for_the_client(product: Ways, origin: Origin, way: str) -> None:
    if way not in product:
        pytest.skip("this system has one loopback address only, hence no cloud networks")
    verdicts = {str(cell): measure(origin, product[way], cell) for cell in HONEST[way]}
    assert {
        cell: verdict for cell, verdict in verdicts.items() if verdict.word not in ("whole", "error")
    } == {}
