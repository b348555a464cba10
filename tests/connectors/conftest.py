"""The world that most tests of private access start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Django is not set up yet when this file is read.
if TYPE_CHECKING:
    from connectors.models import Connector, Server


@pytest.fixture
def connector(db: None) -> Connector:
    """A switched-on connector called ``office`` without servers."""
    from tests.connectors.factories import ConnectorFactory

    return ConnectorFactory(name="office")


@pytest.fixture
def server(connector: Connector) -> Server:
    """Its server, heard of just now."""
    from tests.connectors.factories import ServerFactory

    return ServerFactory(connector=connector, heard=True)
