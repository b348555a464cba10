"""Honest marks: a test that starts a program and is not marked ``processes`` fails; ``make quick`` would run it."""

import functools
import os
import subprocess
from collections.abc import Callable, Generator
from typing import Any

import pytest

MARKS = ("processes", "browser")
started: list[str] = []


def _noting(name: str, start: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``start`` with a note of what it starts; an audit hook would see more and cost a twentieth of the time."""

    @functools.wraps(start)
    def noted(*args: Any, **kwargs: Any) -> Any:
        started.append(f"{name} {args or kwargs}"[:200])
        return start(*args, **kwargs)

    return noted


# What subprocess, asyncio, multiprocessing and plain os have in common at last.
subprocess.Popen._execute_child = _noting("Popen", subprocess.Popen._execute_child)  # type: ignore[attr-defined]
for _name in ("system", "posix_spawn", "posix_spawnp", "fork", "forkpty"):
    setattr(os, _name, _noting(_name, getattr(os, _name)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    started.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    if started and not any(item.get_closest_marker(mark) for mark in MARKS):
        pytest.fail(f"starts a program without the mark `processes`: {started[0]}", pytrace=False)
    return result
