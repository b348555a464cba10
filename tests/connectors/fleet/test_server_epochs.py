"""Connector servers and a history that was turned back: what they show, what they are told, what people see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.alerts import evaluation
from connectors.fleet.health import reds
from connectors.models import Alert, Connector, Server
from console.machines import config
from console.machines.epochs import seal
from console.models import AuditRow, ConfigVersion, Gateway
from edge.protocol.edition import Edition
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
HERE, LATER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def machine(connector: Connector) -> Machine:
    made = Machine("server", connector.pk)
    ConfigVersion.objects.update(epoch=HERE, version=40, servers_version=10)
    return made


def report(machine: Machine, version: int | None, epoch: str = "", /, **more: Any) -> dict[str, Any]:
    """Report as a server that was given this edition by this console; a sign of life without samples."""
    told: dict[str, Any] = {
        "batch": "6f1f6f6e-0000-4000-8000-000000000001",
        "samples": [],
        "applied_version": version,
    }
    if epoch and version is not None:
        told |= {"epoch": epoch, "seal": seal("servers_version", Edition(epoch, version))}
    answer = machine.call("telemetry", told | more)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_server_is_told_the_epoch_and_fetches_its_configuration_with_a_seal(machine: Machine) -> None:
    answer = report(machine, 0)
    assert (answer["epoch"], answer["wanted_version"]) == (HERE, 10)
    given = machine.call("server/config", {}).json()
    assert (given["epoch"], given["version"]) == (HERE, 10)
    assert given["seal"] == seal("servers_version", Edition(HERE, 10))
    report(machine, given["version"], given["epoch"])
    server = Server.objects.get(pk=machine.id)
    assert (server.applied_epoch, server.applied_version) == (HERE, 10)
    assert config.current().epoch == HERE


@pytest.mark.parametrize("epoch", [HERE, LATER, ""], ids=["same epoch", "forgotten epoch", "release 0.1"])
def test_a_server_that_knows_more_than_the_database_begins_a_new_epoch_once(
    machine: Machine, epoch: str
) -> None:
    answer = report(machine, 30, epoch)
    now = config.current()
    assert answer["epoch"] == now.epoch != HERE
    assert answer["wanted_version"] == now.servers_version == 31, "release 0.1 takes a greater number only"
    assert now.version == 41, "gateways take the whole as well"
    again = report(machine, 30, epoch)
    assert (again["epoch"], again["wanted_version"]) == (now.epoch, 31)
    assert AuditRow.objects.filter(verb="configuration.epoch").count() == 1


@pytest.mark.parametrize(
    "absurd", [{"epoch": "é" * 99}, {"epoch": 7}, {"seal": ["x"]}, {"applied_version": -1}]
)
def test_what_makes_no_sense_begins_nothing_and_refuses_nothing(
    machine: Machine, absurd: dict[str, Any]
) -> None:
    answer = report(machine, 10, HERE, **absurd)
    assert (answer["epoch"], answer["wanted_version"]) == (HERE, 10)
    assert config.current().epoch == HERE


def test_a_server_that_makes_numbers_up_moves_nobody(machine: Machine) -> None:
    for version in (2**53, 10**9):
        assert report(machine, version, seal="5ea1", epoch=HERE)["epoch"] == HERE
    assert config.current().epoch == HERE


def test_a_server_of_another_history_has_a_red_light(
    machine: Machine, connector: Connector, viewer_client: Client
) -> None:
    report(machine, 10, HERE)
    server = Server.objects.select_related("connector").get(pk=machine.id)
    assert "configuration" not in reds(server)
    Server.objects.update(applied_epoch=LATER, applied_version=60)
    page = viewer_client.get(f"/sase/connectors/{connector.pk}/servers/{machine.id}/").text
    assert "Another history" in page and "version 60" in page
    assert "configuration" in reds(server)


def test_a_machine_that_stays_in_another_history_fires_an_alert(machine: Machine, gateway: Gateway) -> None:
    report(machine, 10, HERE)
    now = timezone.now()
    Server.objects.update(applied_epoch=LATER, applied_version=60, heard_at=now)
    Gateway.objects.update(applied_epoch=LATER, applied_version=60, enrolled_at=now, heard_at=now)

    def states() -> list[str]:
        return list(
            Alert.objects.filter(kind="history").order_by("subject_kind").values_list("state", flat=True)
        )

    def after(seconds: int, **changes: Any) -> list[str]:
        moment = now + timedelta(seconds=seconds)
        for table in (Server, Gateway):
            table.objects.update(heard_at=moment, **changes)
        evaluation.evaluate(moment)
        return states()

    assert after(0) == ["pending", "pending"]
    assert after(30) == ["pending", "pending"], "a machine has a minute to take the new epoch"
    assert after(61) == ["firing", "firing"]
    assert after(70, applied_version=None) == ["firing", "firing"], "unknown changes nothing"
    assert after(80, applied_epoch=HERE, applied_version=10) == ["resolved", "resolved"]
