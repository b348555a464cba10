"""The fixed cast of the console's tests: one user for each role, and a client logged in as each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.test import Client
    from pytest_django import Settings

    from console.models import Gateway, User
    from tests.console.machine import Machine
    from tests.console.push_receivers import WebReceiver


def _user(role: str) -> User:
    from tests.console.factories import UserFactory

    return UserFactory(username=role, role=role)


def _client(user: User) -> Client:
    from django.test import Client

    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def viewer(db: None) -> User:
    """Sees everything, changes nothing."""
    return _user("viewer")


@pytest.fixture
def operator(db: None) -> User:
    """Changes what users and connectors have; not users, gateways or keys of the console."""
    return _user("operator")


@pytest.fixture
def administrator(db: None) -> User:
    """May do everything."""
    return _user("administrator")


@pytest.fixture
def viewer_client(viewer: User) -> Client:
    return _client(viewer)


@pytest.fixture
def operator_client(operator: User) -> Client:
    return _client(operator)


@pytest.fixture
def administrator_client(administrator: User) -> Client:
    return _client(administrator)


@pytest.fixture
def staff_client(operator: User) -> Client:
    """An operator who may use Django admin."""
    operator.is_staff = True
    operator.save(update_fields=["is_staff"])
    return _client(operator)


@pytest.fixture
def superuser_client(administrator: User) -> Client:
    """Whom Django admin shows everything."""
    administrator.is_staff = administrator.is_superuser = True
    administrator.save(update_fields=["is_staff", "is_superuser"])
    return _client(administrator)


@pytest.fixture
def gateway(db: None) -> Gateway:
    """A gateway in Mainland China, not enrolled yet."""
    from tests.console.factories import GatewayFactory

    return GatewayFactory()


@pytest.fixture
def machine(gateway: Gateway) -> Machine:
    """The enrolled agent of ``gateway``."""
    from tests.console.machine import Machine

    return Machine("gateway", gateway.pk)


@pytest.fixture
def private_allowed(settings: Settings) -> None:
    """Message push to addresses such as those of the tests' receivers."""
    settings.PUSH_ALLOW_PRIVATE = True


@pytest.fixture
def receiver(private_allowed: None) -> Iterator[WebReceiver]:
    """A real receiver of message push by HTTP."""
    from tests.console.push_receivers import web_receiver

    with web_receiver() as made:
        yield made


@pytest.fixture
def wheel(tmp_path: Path, settings: Settings) -> Path:
    """The wheel of version 0.2.0, which the console has to install from."""
    settings.WHEEL_DIR = tmp_path
    path = tmp_path / "causeway-0.2.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """As pytest-django does it; and every connection knows what the migrations wrote.

    Django notes that at the connection that made the database. Playwright's event loop gives its tests another
    connection object, which could not put the areas back after a test that emptied the tables.
    """
    from django.db import connections
    from django.db.backends.base.operations import BaseDatabaseOperations

    from tests.console.forging import emptying

    BaseDatabaseOperations.execute_sql_flush = emptying(BaseDatabaseOperations.execute_sql_flush)  # type: ignore[method-assign]
    for connection in connections.all():
        if contents := getattr(connection, "_test_serialized_contents", None):
            type(connection)._test_serialized_contents = contents  # type: ignore[attr-defined]
