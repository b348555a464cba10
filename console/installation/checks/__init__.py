"""The doctor's looks. Each function returns its findings, with the fix of what is not right.

A finding has the shape and the words of ``causeway check``: ``ok``; ``warning`` (the console runs, but not well);
``error`` (something does not work).
"""

from collections.abc import Callable, Iterator

from edge.machine.checks import Check

Look = Callable[[], Iterator[Check]]
SETUP = "Run causeway-console setup."


def ok(name: str, finding: str) -> Check:
    return Check(name, "ok", finding)


def warning(name: str, finding: str, fix: str) -> Check:
    return Check(name, "warning", finding, fix)


def error(name: str, finding: str, fix: str) -> Check:
    return Check(name, "error", finding, fix)
