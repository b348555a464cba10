"""The order of the tests is random (pytest-randomly): its seed, said even by a quiet run, repetition for a hunt, and
nothing left running that fails the next test.
"""

import threading
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="run every test N times, to hunt for a rare failure",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    times = metafunc.config.getoption("repeat")
    if times > 1:
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(1, times + 1), ids=lambda number: f"{number} of {times}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how this order is had again: pytest-randomly says it in a header, which `-q` leaves out."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"Order of the tests: --randomly-seed={seed}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let the console's watcher end, as it does when nobody waits, before its test's database is taken from it."""
    try:
        return (yield)
    finally:
        for thread in threading.enumerate():
            if thread.name == "config-watcher":
                thread.join(10)
