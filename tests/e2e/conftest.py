"""Fixtures that put back what a test changes on the one running demo, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.demo import Demo, post, wait_until


@pytest.fixture
def switched_on(demo: Demo) -> Iterator[None]:
    """Switch the demo's connector on after the test, whatever the test did, and wait for traffic."""
    yield
    with closing(demo.admin_client()) as admin:
        post(admin, f"/sase/connectors/{demo.connector()['id']}/enable/")
    wait_until(lambda: _status(demo) == 200, 30, what="a flow through the connector")


def _status(demo: Demo) -> int:
    with demo.connect("echo.corp.example", 7) as flow:
        return flow.status
