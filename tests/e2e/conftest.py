"""Fixtures of the one running demo; what a test changes is put back, whatever happened."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.demo import Demo, post, wait_until
from tests.e2e.deployed import Machine, machine_in


@pytest.fixture
def switched_on(demo: Demo) -> Iterator[None]:
    """Switch the demo's connector on after the test, whatever the test did, and wait for traffic."""
    yield
    with closing(demo.admin_client()) as admin:
        post(admin, f"/sase/connectors/{demo.connector()['id']}/enable/")
    wait_until(lambda: demo.verdict()[0] == 200, 30, what="a flow through the connector")


@pytest.fixture
def admin(demo: Demo) -> Iterator[httpx.Client]:
    """An administrator's browser."""
    with closing(demo.admin_client()) as client:
        yield client


@pytest.fixture
def machine(demo: Demo, tmp_path: Path) -> Iterator[Machine]:
    """A folder in place of a machine, for a connector's server."""
    with machine_in(demo, tmp_path / "machine") as made:
        yield made
