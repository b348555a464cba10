"""An agent that the console takes for a copy ends, gives up its identity, and says what to do."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest

from edge.protocol.codes import Code
from edge.protocol.marks import CLAIM, Marks
from tests.edge.connector_lab import until
from tests.edge.server_lab import World, running_world
from tests.running import causeway

pytestmark = pytest.mark.processes


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as made:
        yield made


def marks_of(headers: dict[str, str]) -> Marks:
    token = headers["authorization"].removeprefix("Bearer ")
    return Marks.decode(jwt.decode(token, options={"verify_signature": False})[CLAIM])


async def test_every_call_of_an_agent_names_its_start_which_is_another_after_a_restart(world: World) -> None:
    world.start()
    await until(lambda: len(world.console.calls) > 2, "calls of the first start")
    world.end(signal.SIGTERM)
    count = len(world.console.calls)
    world.start()
    await until(lambda: len(world.console.calls) > count + 2, "calls of the second start")
    made = [marks_of(headers) for _, _, headers in list(world.console.calls)]
    first, second = {each.start for each in made[:count]}, {each.start for each in made[count:]}
    assert len(first) == len(second) == 1 and first != second
    assert len({(each.machine, each.boot, each.hostname) for each in made}) == 1
    written = [file for file in world.home.path.rglob("*") if file.is_file()]
    starts = (first | second).pop().encode()
    assert not [file for file in written if starts in file.read_bytes()], "a copy would take the start along"


async def test_a_copy_ends_and_says_what_to_do(world: World) -> None:
    refused = {"error": {"code": Code.MACHINE_CLONED, "message": Code.MACHINE_CLONED.sentence, "field": None}}
    world.start()
    await until(world.envoy, "Envoy runs")
    envoy = world.envoy()
    world.console.answers["telemetry"] = lambda body: (403, refused)
    agent = world.agent
    assert agent is not None
    await until(lambda: agent.poll() is not None, "the agent has ended")
    assert agent.returncode == 4, "systemd starts everything else again"
    assert envoy is not None and world.envoy() is None
    assert Code.MACHINE_CLONED.sentence in world.log.read_text()
    assert not world.home.enrolled and not list(world.home.file("pki").iterdir())
    status = causeway("status", "--home", str(world.home.path))
    assert status.returncode == 2 and "run that command here" in status.stderr
