"""Upgrade of a connector from the console: each step as people, the worker and the server see it."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from connectors.fleet import services
from connectors.fleet.services.upgrades import SERVERS
from connectors.models import Connector, Server, ServerUpgrade, Upgrade
from console.core.errors import Conflict, Invalid
from console.machines import upgrade_rule
from console.models import AuditRow, Cutover, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory, telemetry
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
NOW, NEW = "0.1.0", "0.2.0"
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}


class Served(Machine):
    """Machine of a server that knows the machine of the gateway at which its flows arrive."""

    arrival: Machine


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, settings: Settings) -> Path:
    settings.WHEEL_DIR = tmp_path
    path = tmp_path / f"causeway-{NEW}-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def url(connector: Any, action: str = "") -> str:
    return f"/sase/connectors/{connector.pk}/upgrade/{action}"


@pytest.fixture
def machine(connector: Connector, gateway: Gateway) -> Served:
    """Make a server of the connector, heard of, with a gateway that it has a tunnel to."""
    made = Served("server", connector.pk)
    made.arrival = factories.enrolled_gateway(gateway)
    says(made)
    factories.tunnel(gateway, Server.objects.get(pk=made.id))
    return made


def says(machine: Served, version: str = NOW, **values: Any) -> None:
    """Call as the agent: its version, no open flow, the newest configuration, unless told otherwise."""
    machine_state = telemetry()["machine"] | {"version": version, "open_flows": 0} | values
    applied = machine.call("server/config", {}).json()["version"]
    said = telemetry(machine=machine_state, applied_version=applied)
    assert machine.call("telemetry", said).status_code == 200


def tells(machine: Served, state: str, message: str = "") -> None:
    run = Upgrade.objects.get()
    body = {"order": run.pk, "state": state, "message": message}
    assert machine.call("server/upgrade", body).status_code == 200


def drained(machine: Served) -> None:
    """Confirm, as the gateway, that no new flows are given, then report as the server that none is left."""
    version = Cutover.objects.latest("version").version
    machine.arrival.call("gateway/config", {"applied_version": version})
    says(machine)


def start(connector: Connector, **values: Any) -> Upgrade:
    given: dict[str, Any] = {"in_window": False, "drain": timedelta(minutes=5), "actor": ACTOR} | values
    return services.upgrade_start(connector=connector, **given)


def step_of(machine: Served) -> ServerUpgrade:
    return ServerUpgrade.objects.get(server=machine.id)


def brought_to_checking(connector: Connector, machine: Served) -> None:
    start(connector)
    SERVERS.advance()
    drained(machine)
    SERVERS.advance()
    tells(machine, "restarting")
    SERVERS.advance()


def test_a_server_goes_through_every_step(connector: Connector, machine: Served, wheel: Path) -> None:
    run = start(connector)
    assert (run.state, step_of(machine).state) == ("waiting", "waiting")
    assert machine.call("server/config", {}).json()["upgrade"] is None
    SERVERS.advance()
    assert step_of(machine).state == "draining"
    assert Server.objects.get(pk=machine.id).state == "draining"
    SERVERS.advance()
    assert step_of(machine).state == "draining", "the gateway may still give it flows"
    drained(machine)
    assert services.drains_finish() == 0, "it is to come back, so it is not switched off"
    SERVERS.advance()
    assert step_of(machine).state == "installing"
    order = machine.call("server/config", {}).json()["upgrade"]
    assert order == {
        "order": run.pk,
        "version": NEW,
        "wheel": wheel.name,
        "sha256": run.sha256,
        "health_seconds": settings.UPGRADE_HEALTH_SECONDS,
    }
    tells(machine, "restarting")
    assert step_of(machine).state == "checking"
    says(machine, NEW)
    SERVERS.advance()
    assert step_of(machine).state == "checking", "its own word is missing"
    tells(machine, "healthy")
    SERVERS.advance()
    assert (step_of(machine).state, step_of(machine).message) == ("done", f"From {NOW} to {NEW}.")
    assert Server.objects.get(pk=machine.id).state == "enabled"
    SERVERS.advance()
    run.refresh_from_db()
    assert run.state == "done" and run.finished_at
    verbs = list(AuditRow.objects.order_by("id").values_list("verb", flat=True))
    wanted = ["connector.upgrade", "server.drain", "server.enable", "server.upgrade", "connector.upgrade_end"]
    assert [verb for verb in verbs if verb in wanted] == wanted
    assert machine.call("server/config", {}).json()["upgrade"] is None


@pytest.mark.parametrize("what", ["version", "tunnel", "envoy"])
def test_the_gate_stays_shut_while_something_is_wrong(
    connector: Connector, machine: Served, what: str
) -> None:
    brought_to_checking(connector, machine)
    tells(machine, "healthy")
    says(machine, NOW if what == "version" else NEW, **({"envoy": "stopped"} if what == "envoy" else {}))
    if what == "tunnel":
        Server.objects.get(pk=machine.id).tunnels.update(count=0)
    SERVERS.advance()
    assert step_of(machine).state == "checking"
    past = timezone.now() - upgrade_rule.check_limit()
    ServerUpgrade.objects.update(changed_at=past)
    SERVERS.advance()
    step = step_of(machine)
    assert step.state == "failed" and "left drained" in step.message
    if what != "version":
        assert {"tunnel": "tunnel to", "envoy": "process"}[what] in step.message
    assert Server.objects.get(pk=machine.id).state == "draining"


def test_a_light_that_was_red_before_need_not_be_green(connector: Connector, machine: Served) -> None:
    Server.objects.get(pk=machine.id).tunnels.update(count=0)
    brought_to_checking(connector, machine)
    assert [red.split(" to ")[0] for red in step_of(machine).reds] == ["tunnel"]
    says(machine, NEW)
    tells(machine, "healthy")
    SERVERS.advance()
    assert step_of(machine).state == "done"


@pytest.mark.parametrize("state", ["failed", "rolled_back"])
def test_the_first_that_fails_stops_the_rest_and_serves_on(
    connector: Connector, machine: Served, state: str
) -> None:
    second = ServerFactory(connector=connector, heard=True, version=NOW)
    brought_to_checking(connector, machine)
    tells(machine, state, "The agent does not run.")
    SERVERS.advance()
    first, left = ServerUpgrade.objects.all()
    assert (first.state, first.message) == (state, "The agent does not run.")
    assert left.state == "skipped" and "because" in left.message
    assert Upgrade.objects.get().state == "failed"
    assert Server.objects.get(pk=machine.id).state == "enabled"
    assert second.state == "enabled"


def test_a_server_that_says_nothing_is_given_up(connector: Connector, machine: Served) -> None:
    start(connector)
    SERVERS.advance()
    drained(machine)
    SERVERS.advance()
    ServerUpgrade.objects.update(changed_at=timezone.now() - upgrade_rule.INSTALL_LIMIT)
    SERVERS.advance()
    assert step_of(machine).state == "failed" and "15 minutes" in step_of(machine).message


def test_the_drain_ends_after_its_time_also_with_flows(connector: Connector, machine: Served) -> None:
    start(connector)
    SERVERS.advance()
    drained(machine)
    says(machine, open_flows=3)
    SERVERS.advance()
    assert step_of(machine).state == "draining"
    Server.objects.update(drain_until=timezone.now() - timedelta(seconds=1))
    SERVERS.advance()
    assert step_of(machine).state == "installing"


def test_what_is_off_silent_or_current_is_passed_over(connector: Connector, machine: Served) -> None:
    silent = ServerFactory(connector=connector, version=NOW)
    off = ServerFactory(connector=connector, heard=True, version=NOW, enabled=False)
    current = ServerFactory(connector=connector, heard=True, version=NEW)
    Server.objects.filter(pk=machine.id).update(enabled=False)
    run = start(connector)
    for _ in range(4):
        SERVERS.advance()
    run.refresh_from_db()
    assert run.state == "done"
    messages = {step.server_id: step.message for step in run.steps.all()}
    assert "not heard of" in messages[silent.pk]
    assert "disabled" in messages[off.pk] and "disabled" in messages[machine.id]
    assert current.pk not in messages


def test_servers_are_begun_only_within_the_window(connector: Connector, machine: Served) -> None:
    hour = timezone.now().hour
    connector.upgrade_start, connector.upgrade_end = time((hour + 2) % 24), time((hour + 4) % 24)
    connector.save()
    start(connector, in_window=True)
    SERVERS.advance()
    assert step_of(machine).state == "waiting"
    connector.upgrade_start, connector.upgrade_end = time(hour), time((hour + 2) % 24)
    connector.save()
    SERVERS.advance()
    assert step_of(machine).state == "draining"


@pytest.mark.parametrize(
    ("start", "end", "open_at"),
    [
        (None, None, {1, 12, 23}),
        (time(1), time(3), {1}),
        (time(22), time(2), {1, 23}),
        (time(12), time(0), {12, 23}),
    ],
)
def test_a_window_may_go_past_midnight(
    connector: Connector, start: time | None, end: time | None, open_at: set[int]
) -> None:
    connector.upgrade_start, connector.upgrade_end = start, end
    run = Upgrade(connector=connector, in_window=True)
    assert {hour for hour in (1, 12, 23) if run.may_begin(datetime(2026, 1, 1, hour, tzinfo=UTC))} == open_at
    assert Upgrade(connector=connector, in_window=False).may_begin(datetime(2026, 1, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"drain": timedelta(seconds=59)}, "minutes"),
        ({"drain": timedelta(days=2)}, "minutes"),
        ({"in_window": True}, "when"),
    ],
)
def test_what_is_not_legal_is_refused(
    connector: Connector, server: Server, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        start(connector, **values)
    assert refused.value.field == field


def test_nothing_to_do_is_said(connector: Connector, wheel: Path) -> None:
    with pytest.raises(Conflict, match="no server with another version"):
        start(connector)
    ServerFactory(connector=connector, version=NEW)
    with pytest.raises(Conflict, match="no server with another version"):
        start(connector)
    wheel.unlink()
    with pytest.raises(Conflict, match="no causeway wheel"):
        start(connector)


def test_one_upgrade_at_a_time(connector: Connector, server: Server) -> None:
    run = start(connector)
    with pytest.raises(Invalid, match="going on already"):
        start(connector)
    with pytest.raises(IntegrityError), transaction.atomic():
        Upgrade.objects.create(connector=connector, version=NEW, in_window=False, drain_seconds=60)
    SERVERS.cancel(upgrade=run, actor=ACTOR)
    assert Upgrade.objects.get(pk=run.pk).state == "cancelled"
    with pytest.raises(Conflict, match="over or was cancelled"):
        SERVERS.cancel(upgrade=run, actor=ACTOR)
    start(connector)


def test_cancelled_while_draining_it_serves_on(connector: Connector, machine: Served) -> None:
    run = start(connector)
    SERVERS.advance()
    SERVERS.cancel(upgrade=run, actor=ACTOR)
    SERVERS.advance()
    assert (step_of(machine).state, Server.objects.get(pk=machine.id).state) == ("skipped", "enabled")
    assert Upgrade.objects.get().state == "cancelled"


def test_cancelled_while_it_checks_it_is_finished_and_no_other_begun(
    connector: Connector, machine: Served
) -> None:
    ServerFactory(connector=connector, heard=True, version=NOW)
    brought_to_checking(connector, machine)
    SERVERS.cancel(upgrade=Upgrade.objects.get(), actor=ACTOR)
    assert Upgrade.objects.get().state == "running"
    says(machine, NEW)
    tells(machine, "healthy")
    SERVERS.advance()
    assert [step.state for step in ServerUpgrade.objects.all()] == ["done", "skipped"]
    assert Upgrade.objects.get().state == "cancelled"


def test_a_word_about_another_order_changes_nothing(connector: Connector, machine: Served) -> None:
    brought_to_checking(connector, machine)
    body = {"order": "upgrade-0000000000000000", "state": "failed"}
    assert machine.call("server/upgrade", body).status_code == 200
    other = Machine("server", ConnectorFactory().pk)
    assert other.call("server/upgrade", body | {"order": Upgrade.objects.get().pk}).status_code == 200
    assert step_of(machine).state == "checking"
    assert machine.call("server/upgrade", body | {"state": "glad"}).status_code == 422


def test_a_removed_server_holds_nothing_up(connector: Connector, machine: Served) -> None:
    brought_to_checking(connector, machine)
    services.server_remove(server=Server.objects.get(pk=machine.id), actor=ACTOR)
    SERVERS.advance()
    assert Upgrade.objects.get().state == "done"
