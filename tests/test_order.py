"""Tests that lean on one another are found: the order is random, its seed is said, and a seed gives its order again."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.running import ROOT, ran

pytestmark = pytest.mark.processes

PAIRS = 6
# Green in the order of the file only: the second test needs what the first one leaves behind.
PAIR = """
left_{0} = []
def test_{0}_leaves_something():
    left_{0}.append("something")
def test_{0}_needs_it():
    assert left_{0}
"""
NEEDED = re.compile(r"^FAILED .*::(\w+)", re.MULTILINE)


def run(folder: Path, *options: str) -> str:
    """What a quiet pytest, without the plugins that are not needed, says of pairs of tests bound by their order."""
    planted = folder / "test_planted.py"
    planted.write_text("".join(PAIR.format(number) for number in range(PAIRS)))
    plugins = ["-p", "pytest_randomly", "-p", "tests.order", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={folder}", *plugins]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    return ran(*command, *options, planted, cwd=ROOT, env=environment, seconds=None).stdout


def test_a_test_that_needs_another_before_it_is_caught_by_a_random_order(tmp_path: Path) -> None:
    assert f"{2 * PAIRS} passed" in run(tmp_path, "--randomly-dont-reorganize"), "in the order of the file"
    caught = [NEEDED.findall(run(tmp_path, f"--randomly-seed={seed}")) for seed in (1, 2, 3)]
    assert all(caught), caught
    assert caught[0] != caught[1] != caught[2], "another seed, another order"


def test_a_quiet_run_says_its_seed_and_by_it_the_order_is_had_again(tmp_path: Path) -> None:
    said = run(tmp_path)
    option = re.search(r"--randomly-seed=\d+", said)
    assert option, said
    assert NEEDED.findall(run(tmp_path, option[0])) == NEEDED.findall(said)


def test_a_test_is_repeated_as_often_as_asked_for(tmp_path: Path) -> None:
    assert "5 passed" in run(tmp_path, "--repeat=5", "-k=test_0_leaves")
