"""Servers' figures beside what gateways counted: who tells of other bytes is marked on the pages, and told of."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.alerts import evaluation
from connectors.models import Alert, Comparison, Connector, Disagreement, Server
from connectors.telemetry import comparison, sql, store
from console.models import Gateway
from roaming.models import Usage
from tests.connectors.factories import enrolled_gateway, sample, telemetry
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.responses import words
from tests.roaming.factories import flow, flows

pytestmark = pytest.mark.django_db
MIB = 2**20


class World:
    """A connector with a server, and a gateway; the hour before this one, and a moment when it is settled."""

    def __init__(self, connector: Connector, gateway: Gateway) -> None:
        self.connector = connector
        self.gateway = enrolled_gateway(gateway)
        self.server = Machine("server", connector.pk)
        self.start = int(time.time()) // 3600 * 3600 - 3600
        self.now = sql.at(self.start + 3600 + 15 * 60)
        self.begin(hours=5)

    def begin(self, *, hours: float) -> None:
        """The comparison began so many hours ago."""
        Comparison.objects.update_or_create(id=1, defaults={"since": timezone.now() - timedelta(hours=hours)})

    def tells(self, server: Machine, *, up: int, down: int = 0) -> None:
        at = self.start + 1000
        answer = server.call("telemetry", telemetry(sample(time=at, seconds=10, rx_bytes=up, tx_bytes=down)))
        assert answer.json()["refused"] == 0

    def counts(self, *, up: int, down: int = 0, server: str | None = None, name: str = "f1") -> None:
        at = self.start + 1000
        told = {"flow": name, "started_at": at - 10, "time": at, "bytes_up": up, "bytes_down": down}
        record = flow(connector=self.connector.pk, **told) | ({"server": server} if server else {})
        assert self.gateway.call("flows", flows(record)).json()["refused"] == 0

    def compare(self) -> list[str]:
        Gateway.objects.filter(enrolled_at__isnull=False).update(heard_at=self.now)
        Server.objects.update(heard_at=self.now)
        store.roll_up(self.now)
        comparison.compare(self.now)
        return sorted(Disagreement.objects.values_list("server", flat=True))


@pytest.fixture
def world(connector: Connector, gateway: Gateway) -> World:
    return World(connector, gateway)


def test_a_server_that_makes_figures_up_is_marked_and_its_neighbour_is_not(
    world: World, viewer_client: Client
) -> None:
    honest = Machine("server", world.connector.pk)
    world.tells(world.server, up=10, down=2200 * MIB)
    world.tells(honest, up=310 * MIB, down=1150 * MIB)
    world.counts(server=world.server.id, up=10, down=100 * MIB)
    world.counts(server=honest.id, up=300 * MIB, down=1100 * MIB, name="f2")
    assert world.compare() == [world.server.id]
    for url in ("", "servers/"):
        shown = words(viewer_client.get(f"/sase/connectors/{world.connector.pk}/{url}?range=6h"))
        assert (
            "told of 10 B from users and 2.1 GB to users, and the gateways counted 10 B and 100 MB" in shown
        )
        assert shown.count("Figures in doubt") == (2 if url else 1), "a badge and a note"
    everything = words(viewer_client.get(reverse("connectors:all_traffic") + "?range=6h"))
    assert "Figures in doubt" in everything
    before = {"from": f"{world.now - timedelta(days=3):%Y-%m-%dT%H:%M}"}
    before["to"] = f"{world.now - timedelta(days=2):%Y-%m-%dT%H:%M}"
    earlier = words(viewer_client.get(f"/sase/connectors/{world.connector.pk}/", before))
    assert "Chosen time" in earlier and "Figures in doubt" not in earlier


def test_an_alert_tells_of_it_and_ends_when_the_gateways_bear_the_figures_out(world: World) -> None:
    def state() -> str:
        return Alert.objects.get(kind="figures").state

    world.tells(world.server, up=1000 * MIB)
    world.compare()
    evaluation.evaluate(world.now)
    assert state() == "pending"
    evaluation.evaluate(world.now + timedelta(seconds=60))
    evaluation.evaluate(world.now + timedelta(seconds=120))
    assert state() == "firing"
    world.counts(server=world.server.id, up=990 * MIB)  # a gateway's records that came late
    assert world.compare() == []
    evaluation.evaluate(world.now + timedelta(seconds=125))
    assert state() == "resolved"


@pytest.mark.parametrize(
    ("told", "counted", "marked"),
    [
        ((60 * MIB, 0), (0, 0), False),  # so much of pings and headers may be
        ((65 * MIB, 0), (0, 0), True),
        ((1000 * MIB, 1000 * MIB), (700 * MIB, 700 * MIB), False),  # tunnels carry more than flows
        ((1000 * MIB, 1000 * MIB), (600 * MIB, 1000 * MIB), True),
        ((1000 * MIB, 1000 * MIB), (1000 * MIB, 600 * MIB), True),
        ((0, 0), (0, 60 * MIB), False),
        ((0, 1), (0, 70 * MIB), True),  # left out
        ((100 * MIB, 600 * MIB), (300 * MIB, 500 * MIB), False),  # headers are smaller in tunnels
        ((100 * MIB, 300 * MIB), (100 * MIB, 700 * MIB), True),
    ],
)
def test_far_apart_is_beyond_the_tolerance(
    world: World, told: tuple[int, int], counted: tuple[int, int], marked: bool
) -> None:
    world.tells(world.server, up=told[0], down=told[1])
    world.counts(server=world.server.id, up=counted[0], down=counted[1])
    assert bool(world.compare()) is marked


def test_bytes_that_a_gateway_counted_for_the_connector_alone_may_be_of_any_server(world: World) -> None:
    other = Machine("server", world.connector.pk)
    world.tells(world.server, up=500 * MIB)
    world.tells(other, up=500 * MIB)
    world.counts(up=1000 * MIB)  # by a gateway of the release before
    assert world.compare() == []


def test_while_a_gateway_is_silent_nothing_is_compared(world: World) -> None:
    world.tells(world.server, up=1000 * MIB)
    store.roll_up(world.now)
    other = GatewayFactory(enrolled_at=world.now)
    for heard, marked in (
        (world.now - timedelta(minutes=5), False),
        (world.now, True),
        (None, True),
    ):
        Gateway.objects.update(heard_at=world.now)
        Gateway.objects.filter(pk=other.pk).update(heard_at=heard)
        comparison.compare(world.now)
        assert Disagreement.objects.exists() is marked
        Disagreement.objects.all().delete()


def test_an_hour_that_goes_on_is_compared_for_what_was_made_up_alone(world: World) -> None:
    world.now = sql.at(world.start + 3600 + 60)
    world.counts(server=world.server.id, up=1000 * MIB)  # the server's samples come in a moment
    assert world.compare() == []
    world.now = sql.at(world.start + 3600 + 15 * 60)
    assert world.compare() == [world.server.id]


def test_hours_from_before_the_comparison_began_are_left_alone(world: World) -> None:
    world.begin(hours=0)
    world.tells(world.server, up=1000 * MIB)
    assert world.compare() == []


def test_a_flow_record_counts_for_the_server_that_carried_it_or_for_its_connector(world: World) -> None:
    world.counts(server=world.server.id, up=7, down=9)
    world.counts(up=5, name="f2")
    world.counts(server=world.server.id, up=10, down=9)
    found = Usage.objects.filter(subject__in=[world.server.id, world.connector.pk])
    assert sorted(found.values_list("subject", "span", "bytes_up", "bytes_down")) == sorted(
        [(world.server.id, "hour", 10, 9), (world.connector.pk, "hour", 5, 0)]
    )


def test_marks_are_forgotten_with_the_hours_that_they_are_of(world: World) -> None:
    world.tells(world.server, up=1000 * MIB)
    world.compare()
    store.prune(world.now + timedelta(days=700))
    assert Disagreement.objects.exists()
    store.prune(world.now + timedelta(days=732))
    assert not Disagreement.objects.exists()
