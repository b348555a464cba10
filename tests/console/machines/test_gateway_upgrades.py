"""Upgrade of an area's gateways from the console: each step as people, the worker and the gateway see it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from console import ports
from console.core import audit
from console.core.errors import Conflict, Invalid
from console.machines import gateway_upgrades, services, upgrade_rule
from console.machines.gateway_upgrades import GATEWAYS
from console.models import Area, AreaUpgrade, AuditRow, Gateway, GatewayUpgrade
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
NOW, NEW = "0.1.0", "0.2.0"
ACTOR = audit.System("test")


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, settings: Settings) -> Path:
    settings.WHEEL_DIR = tmp_path
    path = tmp_path / f"causeway-{NEW}-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


@pytest.fixture
def machine(gateway: Gateway) -> Machine:
    """Make a gateway's machine, heard of with the version before."""
    made = Machine("gateway", gateway.pk)
    says(made)
    return made


@pytest.fixture
def area(gateway: Gateway) -> Area:
    return gateway.region.area


def another(**values: Any) -> Machine:
    made = Machine("gateway", GatewayFactory(**values).pk)
    says(made)
    return made


def says(machine: Machine, version: str = NOW, **values: Any) -> None:
    """Report as the agent: its version, no open flow, a running Envoy, unless told otherwise."""
    status = {"version": version, "open_flows": 0, "envoy": "running", "tunnels": {}} | values
    assert machine.call("gateway/status", status).status_code == 200


def tells(machine: Machine, state: str, message: str = "") -> None:
    body = {"order": AreaUpgrade.objects.get().pk, "state": state, "message": message}
    assert machine.call("gateway/upgrade", body).status_code == 200


def order_of(machine: Machine) -> Any:
    return machine.call("gateway/config", {"applied_version": 0}).json()["upgrade"]


def start(area: Area, **values: Any) -> AreaUpgrade:
    given: dict[str, Any] = {"window": None, "drain": timedelta(minutes=5), "actor": ACTOR} | values
    return gateway_upgrades.upgrade_start(area=area, **given)


def step_of(machine: Machine) -> GatewayUpgrade:
    return GatewayUpgrade.objects.get(gateway=machine.id)


def brought_to_checking(area: Area, machine: Machine) -> None:
    start(area)
    GATEWAYS.advance()
    says(machine)
    GATEWAYS.advance()
    tells(machine, "restarting")


def test_gateways_go_through_every_step_one_after_the_other(
    area: Area, machine: Machine, wheel: Path
) -> None:
    second = another(name="second")
    run = start(area)
    assert (run.state, step_of(machine).state, order_of(machine)) == ("waiting", "waiting", None)
    GATEWAYS.advance()
    assert [step.state for step in run.steps.all()] == ["draining", "waiting"]
    GATEWAYS.advance()
    assert step_of(machine).state == "draining", "no count of its flows has come since"
    says(machine, open_flows=2)
    GATEWAYS.advance()
    assert step_of(machine).state == "draining"
    says(machine)
    GATEWAYS.advance()
    assert [step.state for step in run.steps.all()] == ["installing", "waiting"]
    assert order_of(machine) == {
        "order": run.pk,
        "version": NEW,
        "wheel": wheel.name,
        "sha256": run.sha256,
        "health_seconds": settings.UPGRADE_HEALTH_SECONDS,
    }
    assert order_of(second) is None
    tells(machine, "restarting")
    says(machine, NEW)
    GATEWAYS.advance()
    assert step_of(machine).state == "checking", "its own word is missing"
    tells(machine, "healthy")
    assert (step_of(machine).state, step_of(machine).message) == ("done", f"From {NOW} to {NEW}.")
    assert order_of(machine) is None
    GATEWAYS.advance()
    assert [step.state for step in run.steps.all()] == ["done", "draining"]
    says(second)
    GATEWAYS.advance()
    tells(second, "restarting")
    says(second, NEW)
    tells(second, "healthy")
    GATEWAYS.advance()
    run.refresh_from_db()
    assert run.state == "done" and run.finished_at
    verbs = list(
        AuditRow.objects.filter(verb__contains="upgrade").order_by("id").values_list("verb", flat=True)
    )
    assert verbs == ["area.upgrade", "gateway.upgrade", "gateway.upgrade", "area.upgrade_end"]


def test_an_order_is_published(area: Area, machine: Machine) -> None:
    """A gateway that waits for a newer configuration hears of the order at once."""
    start(area)
    GATEWAYS.advance()
    before = machine.call("gateway/config", {"applied_version": 0}).json()["version"]
    says(machine)
    GATEWAYS.advance()
    assert machine.call("gateway/config", {"applied_version": before}).json()["upgrade"]["version"] == NEW


@pytest.mark.parametrize("what", ["version", "envoy", "tunnel"])
def test_the_gate_stays_shut_while_something_is_wrong(
    area: Area, machine: Machine, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought_to_checking(area, machine)
    says(machine, NOW if what == "version" else NEW, envoy="stopped" if what == "envoy" else "running")
    if what == "tunnel":
        monkeypatch.setattr(ports, "gateway_faults", [lambda gateway: ["tunnel of db1"]])
    tells(machine, "healthy")
    GATEWAYS.advance()
    assert step_of(machine).state == "checking"
    GatewayUpgrade.objects.update(changed_at=timezone.now() - upgrade_rule.check_limit())
    GATEWAYS.advance()
    step = step_of(machine)
    assert step.state == "failed" and "Look at the gateway." in step.message
    assert {"tunnel": "tunnel of db1", "envoy": "process", "version": "healthy"}[what] in step.message
    assert order_of(machine) is None


def test_what_was_wrong_before_need_not_be_right(
    area: Area, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "gateway_faults", [lambda gateway: ["tunnel of db1"]])
    brought_to_checking(area, machine)
    assert step_of(machine).reds == ["tunnel of db1"]
    says(machine, NEW)
    tells(machine, "healthy")
    assert step_of(machine).state == "done"


@pytest.mark.parametrize("state", ["failed", "rolled_back"])
def test_the_first_that_fails_stops_the_rest(area: Area, machine: Machine, state: str) -> None:
    second = another(name="second")
    brought_to_checking(area, machine)
    tells(machine, state, "The agent does not run. Back at 0.1.0.")
    GATEWAYS.advance()
    assert (step_of(machine).state, step_of(machine).message) == (
        state,
        "The agent does not run. Back at 0.1.0.",
    )
    assert step_of(second).state == "skipped" and "because" in step_of(second).message
    assert AreaUpgrade.objects.get().state == "failed"


def test_a_gateway_that_says_nothing_is_given_up(area: Area, machine: Machine) -> None:
    start(area)
    GATEWAYS.advance()
    says(machine)
    GATEWAYS.advance()
    GatewayUpgrade.objects.update(changed_at=timezone.now() - upgrade_rule.INSTALL_LIMIT)
    GATEWAYS.advance()
    assert step_of(machine).state == "failed" and "15 minutes" in step_of(machine).message


def test_the_drain_ends_after_its_time_also_with_flows(area: Area, machine: Machine) -> None:
    start(area, drain=timedelta(minutes=2))
    GATEWAYS.advance()
    says(machine, open_flows=3)
    GATEWAYS.advance()
    assert step_of(machine).state == "draining"
    GatewayUpgrade.objects.update(changed_at=timezone.now() - timedelta(minutes=2))
    GATEWAYS.advance()
    assert step_of(machine).state == "installing"


def test_what_is_silent_current_elsewhere_or_not_enrolled_is_left_alone(area: Area, machine: Machine) -> None:
    silent = another(name="silent")
    Gateway.objects.filter(pk=silent.id).update(heard_at=timezone.now() - timedelta(hours=1))
    says(another(name="current"), NEW)
    another(name="elsewhere", region_id="ap-southeast-1")
    GatewayFactory(name="not enrolled")
    run = start(area)
    assert {step.gateway_id for step in run.steps.all()} == {machine.id, silent.id}
    Gateway.objects.filter(pk=machine.id).update(software=NEW)
    for _ in range(3):
        GATEWAYS.advance()
    assert "not heard of" in step_of(silent).message and "already" in step_of(machine).message
    assert AreaUpgrade.objects.get().state == "done"


def test_gateways_are_begun_only_within_the_window(area: Area, machine: Machine) -> None:
    hour = timezone.now().hour
    run = start(area, window=(time((hour + 2) % 24), time((hour + 4) % 24)))
    GATEWAYS.advance()
    assert step_of(machine).state == "waiting"
    run.window_start, run.window_end = time(hour), time((hour + 2) % 24)
    run.save()
    GATEWAYS.advance()
    assert step_of(machine).state == "draining"


def test_a_window_may_go_past_midnight(area: Area) -> None:
    run = AreaUpgrade(area=area, window_start=time(22), window_end=time(2))
    assert [run.may_begin(datetime(2026, 1, 1, hour, tzinfo=UTC)) for hour in (21, 23, 1, 2)] == [
        *(False, True, True, False)
    ]


def test_what_is_not_legal_is_refused(area: Area, machine: Machine, wheel: Path) -> None:
    with pytest.raises(Invalid, match="1 to 1,440") as refused:
        start(area, drain=timedelta(seconds=59))
    assert refused.value.field == "minutes"
    with pytest.raises(Invalid, match="a start and another end"):
        start(area, window=(time(1), time(1)))
    says(machine, NEW)
    with pytest.raises(Conflict, match="no gateway with another version"):
        start(area)
    wheel.unlink()
    with pytest.raises(Conflict, match="no causeway wheel"):
        start(area)


def test_one_upgrade_of_an_area_at_a_time(area: Area, machine: Machine) -> None:
    run = start(area)
    with pytest.raises(Invalid, match="going on already"):
        start(area)
    with pytest.raises(IntegrityError), transaction.atomic():
        AreaUpgrade.objects.create(area=area, version=NEW, drain_seconds=60)
    GATEWAYS.cancel(upgrade=run, actor=ACTOR)
    assert AreaUpgrade.objects.get().state == "cancelled"
    with pytest.raises(Conflict, match="over or was cancelled"):
        GATEWAYS.cancel(upgrade=run, actor=ACTOR)
    start(area)


def test_cancelled_while_it_drains_it_serves_on(area: Area, machine: Machine) -> None:
    run = start(area)
    GATEWAYS.advance()
    GATEWAYS.cancel(upgrade=run, actor=ACTOR)
    GATEWAYS.advance()
    assert step_of(machine).state == "skipped" and "serves on" in step_of(machine).message
    assert AreaUpgrade.objects.get().state == "cancelled"


def test_a_word_about_another_order_or_by_another_machine_changes_nothing(
    area: Area, machine: Machine
) -> None:
    brought_to_checking(area, machine)
    body = {"order": "upgrade-0000000000000000", "state": "failed"}
    assert machine.call("gateway/upgrade", body).status_code == 200
    own = body | {"order": AreaUpgrade.objects.get().pk}
    assert another(name="other").call("gateway/upgrade", own).status_code == 200
    assert step_of(machine).state == "checking"
    assert machine.call("gateway/upgrade", own | {"state": "glad"}).status_code == 422
    unsigned = machine.client.post("/edge/v1/gateway/upgrade", own, content_type="application/json")
    assert unsigned.status_code == 401
    assert machine.call("server/upgrade", own).status_code == 403
    assert step_of(machine).state == "checking"


def test_a_deleted_gateway_holds_nothing_up(area: Area, machine: Machine) -> None:
    brought_to_checking(area, machine)
    services.gateway_delete(gateway=Gateway.objects.get(pk=machine.id), actor=ACTOR)
    GATEWAYS.advance()
    assert AreaUpgrade.objects.get().state == "done"
