"""What becomes of ``causeway … run``: the agent itself, in the same process and without the command line's library."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.demo import ROOT, clean_environment, wait_until
from tests.edge.gateway_lab import GatewayLab
from tests.ending import ended
from tests.running import causeway, ran

pytestmark = pytest.mark.processes

LOADED = "import sys, edge.cli.run, edge.{0}.agent; print('typer' in sys.modules, 'pydantic' in sys.modules)"


@pytest.mark.parametrize("kind", ["gateway", "server"])
def test_an_agent_does_without_the_library_that_read_its_command(kind: Any) -> None:
    done = ran(sys.executable, "-c", LOADED.format(kind), cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]


def test_the_command_becomes_the_agent_and_keeps_its_process(tmp_path: Path) -> None:
    home = GatewayLab(tmp_path).home.path
    command = [sys.executable, "-m", "edge.cli", "gateway", "run", "--home", str(home)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with ended(process, seconds=30):
        agent = psutil.Process(process.pid)
        wait_until(lambda: "edge.cli.run" in agent.cmdline(), 20, what="the agent in the command's place")
        assert agent.cmdline()[-4:] == ["gateway", "run", "--home", str(home)]
        wait_until(lambda: agent.children(), 20, what="its Envoy")
    assert process.returncode == 0


def test_a_folder_that_is_not_enrolled_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = causeway("gateway", "run", "--home", str(tmp_path))
    assert done.returncode != 0 and "not enrolled" in done.stderr and "Traceback" not in done.stderr
