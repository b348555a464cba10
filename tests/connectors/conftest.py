"""The world that most tests of private access start from. Django is set up only after this file is read."""

import pytest

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
