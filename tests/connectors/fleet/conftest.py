"""Worlds of upgrades, for the tests of what both kinds of machine do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Django is not set up yet when this file is read.
if TYPE_CHECKING:
    from pathlib import Path

    from connectors.models import Connector
    from console.models import Gateway
    from tests.connectors.fleet.upgrade_world import Gateways, Servers, World


@pytest.fixture
def servers(wheel: Path, connector: Connector, gateway: Gateway) -> Servers:
    """A connector whose one server runs the version before, and a gateway that the server has a tunnel to."""
    from tests.connectors.fleet.upgrade_world import Servers

    return Servers(connector, gateway)


@pytest.fixture
def gateways(wheel: Path, gateway: Gateway) -> Gateways:
    """Mainland China with one gateway, which runs the version before."""
    from tests.connectors.fleet.upgrade_world import Gateways

    return Gateways(gateway)


@pytest.fixture(params=["servers", "gateways"])
def world(request: pytest.FixtureRequest) -> World:
    """Machines of either kind."""
    made: World = request.getfixturevalue(request.param)
    return made
