"""The more servers there are, the more rarely each is asked to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from connectors.fleet import pace
from connectors.models import Connector, Server
from console.models import Region


@pytest.fixture
def counted(db: None) -> Iterator[Callable[..., Any]]:
    """What counts the servers; afterwards the count is that of an empty world again."""
    yield lambda: pace.refresh(at_once=True)
    Server.objects.all().delete()
    pace.refresh(at_once=True)


@override_settings(TELEMETRY_INTERVAL=2)
def test_the_interval_grows_with_the_root_of_the_servers(counted: Callable[..., Any]) -> None:
    connector = Connector.objects.create(name="many", region=Region.objects.earliest("pk"))
    counted()
    assert pace.interval() == 2
    Server.objects.bulk_create(Server(pk=f"server-{n:016x}", connector=connector) for n in range(1000))
    counted()
    assert pace.interval() == 10
    Server.objects.bulk_create(Server(pk=f"server-{n:016x}", connector=connector) for n in range(1000, 4000))
    counted()
    assert pace.interval() == 20


@override_settings(TELEMETRY_INTERVAL=45)
def test_the_setting_is_the_least(counted: Callable[..., Any]) -> None:
    counted()
    assert pace.interval() == 45
