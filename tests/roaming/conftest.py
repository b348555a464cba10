"""What tests of this app share: an account, and the calls with which clients log on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

# Django is not set up yet when this file is read.
if TYPE_CHECKING:
    from roaming.models import ClientAccount, Instance

Post = Callable[..., Any]


@pytest.fixture
def instance(db: None) -> Instance:
    """In Mainland China, ten accounts, one /24."""
    from tests.roaming.factories import InstanceFactory

    return InstanceFactory()


@pytest.fixture
def account(instance: Instance) -> ClientAccount:
    """Of ``instance``, with ``PASSWORD``."""
    from tests.roaming.factories import AccountFactory

    return AccountFactory(instance=instance)


@pytest.fixture
def post() -> Post:
    """POST JSON to the edge API as anybody could, unsigned: ``post("login", {...})``."""
    from django.test import Client

    client = Client()

    def send(path: str, body: Any, **headers: str) -> Any:
        return client.post(f"/edge/v1/{path}", body, content_type="application/json", headers=headers)

    return send


@pytest.fixture
def credentials(account: ClientAccount) -> dict[str, Any]:
    """The body of a log-on of ``account`` by a stock proxy client."""
    from tests.roaming.factories import credentials_of

    return credentials_of(account)


@pytest.fixture
def login(post: Post, credentials: dict[str, Any]) -> Post:
    """Log ``account`` on, unsigned: ``login(password="wrong")``."""
    return lambda **changes: post("login", credentials | changes)
