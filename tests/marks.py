"""Honest marks: a test that starts a program and is not marked ``processes`` fails; ``make quick`` would run it."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

# Events of Python's audit by which a program is started.
STARTS = {"subprocess.Popen", "os.posix_spawn", "os.system", "os.exec"}
MARKS = ("processes", "browser")
started: list[str] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        program, *rest = arguments
        started.append(f"{program} {rest[0] if rest else ''}".strip()[:200])


sys.addaudithook(_note)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    started.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    if started and not any(item.get_closest_marker(mark) for mark in MARKS):
        pytest.fail(f"starts a program without the mark `processes`: {started[0]}", pytrace=False)
    return result
