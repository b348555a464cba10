"""The pause between two looks at what a test waits for."""

import time


def rest(began: float, least: float = 0.02) -> None:
    """Sleep for twice the time since ``began`` (of ``time.monotonic``), at least ``least`` and at most 1 s.

    A look that starts a program costs the machine a second, which what is waited for could have.
    """
    time.sleep(max(least, min(1.0, 2 * (time.monotonic() - began))))
