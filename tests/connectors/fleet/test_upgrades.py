"""Upgrade of a connector's servers and an area's gateways: each step as people, the worker and the machine see it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from connectors.fleet import services
from connectors.models import Server, Upgrade
from console.core.errors import Conflict, Invalid
from console.machines import upgrade_rule
from console.models import Area, AreaUpgrade, AuditRow, Gateway
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.connectors.fleet.upgrade_world import NEW, NOW, GatewayAgent, Gateways, Servers, World
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db


def brought_to_checking(world: World) -> None:
    world.start()
    world.upgrades.advance()
    world.agent.drained()
    world.upgrades.advance()
    world.tells("restarting")


def test_machines_go_through_every_step_one_after_the_other(world: World, wheel: Path) -> None:
    second = world.another()
    run = world.start()
    assert (run.state, world.states(), world.agent.order()) == ("waiting", ["waiting", "waiting"], None)
    world.upgrades.advance()
    assert world.states() == ["draining", "waiting"]
    world.upgrades.advance()
    assert world.step.state == "draining", "no count of its flows has come since"
    world.agent.drained()
    world.agent.says(open_flows=2)
    world.upgrades.advance()
    assert world.step.state == "draining"
    world.agent.drained()
    world.upgrades.advance()
    assert world.states() == ["installing", "waiting"]
    assert world.agent.order() == {
        "order": run.pk,
        "version": NEW,
        "wheel": wheel.name,
        "sha256": run.sha256,
        "health_seconds": settings.UPGRADE_HEALTH_SECONDS,
    }
    assert second.order() is None
    world.tells("restarting")
    assert world.step.state == "checking"
    world.agent.says(NEW)
    world.upgrades.advance()
    assert world.step.state == "checking", "its own word is missing"
    world.tells("healthy")
    assert (world.step.state, world.step.message) == ("done", f"From {NOW} to {NEW}.")
    assert world.agent.order() is None
    world.upgrades.advance()
    assert world.states() == ["done", "draining"]
    second.drained()
    world.upgrades.advance()
    world.tells("restarting", agent=second)
    second.says(NEW)
    world.tells("healthy", agent=second)
    world.upgrades.advance()
    run.refresh_from_db()
    assert run.state == "done" and run.finished_at
    owner = world.upgrades.owner
    wanted = [f"{owner}.upgrade", *world.verbs, *world.verbs, f"{owner}.upgrade_end"]
    verbs = AuditRow.objects.order_by("id").values_list("verb", flat=True)
    assert [verb for verb in verbs if verb in wanted] == wanted


def test_a_server_in_hand_is_drained_and_not_switched_off(servers: Servers) -> None:
    servers.start()
    servers.upgrades.advance()
    servers.agent.drained()
    assert services.drains_finish() == 0, "it is to come back"
    assert Server.objects.get().state == "draining"
    servers.upgrades.advance()
    servers.agent.says(NEW)
    servers.tells("restarting")
    servers.agent.says(NEW)
    servers.tells("healthy")
    assert Server.objects.get().state == "enabled"


def test_an_order_to_a_gateway_is_published(gateways: Gateways) -> None:
    """A gateway that waits for a newer configuration hears of the order at once."""
    agent = gateways.agent
    gateways.start()
    gateways.upgrades.advance()
    before = agent.call("gateway/config", {"applied_version": 0}).json()["version"]
    agent.says()
    gateways.upgrades.advance()
    assert agent.call("gateway/config", {"applied_version": before}).json()["upgrade"]["version"] == NEW


@pytest.mark.parametrize("what", ["version", "envoy", "tunnel"])
def test_the_gate_stays_shut_while_something_is_wrong(world: World, what: str) -> None:
    brought_to_checking(world)
    version, envoy = (NOW if what == "version" else NEW), ("stopped" if what == "envoy" else "running")
    world.agent.says(version, envoy=envoy)
    if what == "tunnel":
        world.break_tunnel()
    world.tells("healthy")
    world.upgrades.advance()
    assert world.step.state == "checking"
    world.upgrades.steps.objects.update(changed_at=timezone.now() - upgrade_rule.check_limit())
    world.upgrades.advance()
    assert world.step.state == "failed" and world.upgrades.aftermath in world.step.message
    assert {"tunnel": world.fault, "envoy": "process", "version": "healthy"}[what] in world.step.message
    assert world.agent.order() is None


def test_what_was_wrong_before_need_not_be_right(world: World) -> None:
    world.break_tunnel()
    brought_to_checking(world)
    assert [red[: len(world.fault)] for red in world.step.reds] == [world.fault]
    world.agent.says(NEW)
    world.tells("healthy")
    assert world.step.state == "done"


@pytest.mark.parametrize("state", ["failed", "rolled_back"])
def test_the_first_that_fails_stops_the_rest_and_serves_on(world: World, state: str) -> None:
    world.another()
    brought_to_checking(world)
    world.tells(state, "The agent does not run. Back at 0.1.0.")
    world.upgrades.advance()
    first, second = world.upgrades.steps.objects.all()
    assert (first.state, first.message) == (state, "The agent does not run. Back at 0.1.0.")
    assert second.state == "skipped" and "because" in second.message
    assert world.run.state == "failed"
    assert {server.state for server in Server.objects.all()} <= {"enabled"}


def test_a_server_that_is_left_in_an_unknown_state_stays_drained(servers: Servers) -> None:
    brought_to_checking(servers)
    servers.upgrades.steps.objects.update(changed_at=timezone.now() - upgrade_rule.check_limit())
    servers.upgrades.advance()
    assert servers.step.state == "failed" and servers.server.state == "draining"


def test_a_machine_that_says_nothing_is_given_up(world: World) -> None:
    world.start()
    world.upgrades.advance()
    world.agent.drained()
    world.upgrades.advance()
    world.upgrades.steps.objects.update(changed_at=timezone.now() - upgrade_rule.INSTALL_LIMIT)
    world.upgrades.advance()
    assert world.step.state == "failed" and "15 minutes" in world.step.message


def test_the_drain_ends_after_its_time_also_with_flows(world: World) -> None:
    world.start()
    world.upgrades.advance()
    world.agent.drained()
    world.agent.says(open_flows=3)
    world.upgrades.advance()
    assert world.step.state == "draining"
    world.time_is_over()
    world.upgrades.advance()
    assert world.step.state == "installing"


def test_servers_that_are_off_silent_or_current_are_passed_over(servers: Servers) -> None:
    connector = servers.owner
    silent = ServerFactory(connector=connector, version=NOW)
    off = ServerFactory(connector=connector, heard=True, version=NOW, enabled=False)
    current = ServerFactory(connector=connector, heard=True, version=NEW)
    Server.objects.filter(pk=servers.agent.id).update(enabled=False)
    servers.start()
    for _ in range(4):
        servers.upgrades.advance()
    assert servers.run.state == "done"
    messages = {step.server_id: step.message for step in servers.run.steps.all()}
    assert "not heard of" in messages[silent.pk]
    assert "disabled" in messages[off.pk] and "disabled" in messages[servers.agent.id]
    assert current.pk not in messages


def test_gateways_that_are_silent_current_elsewhere_or_not_enrolled_are_left_alone(
    gateways: Gateways,
) -> None:
    agent, silent = gateways.agent, gateways.another()
    Gateway.objects.filter(pk=silent.id).update(heard_at=timezone.now() - timedelta(hours=1))
    gateways.another().says(NEW)
    GatewayAgent(GatewayFactory(region_id="ap-southeast-1"))
    GatewayFactory(name="not enrolled")
    run = gateways.start()
    assert {step.gateway_id for step in run.steps.all()} == {agent.id, silent.id}
    Gateway.objects.filter(pk=agent.id).update(software=NEW)
    for _ in range(3):
        gateways.upgrades.advance()
    messages = {step.gateway_id: step.message for step in run.steps.all()}
    assert "not heard of" in messages[silent.id] and "already" in messages[agent.id]
    assert gateways.run.state == "done"


def test_machines_are_begun_only_within_the_window(world: World) -> None:
    hour = timezone.now().hour
    world.start(window=(time((hour + 2) % 24), time((hour + 4) % 24)))
    world.upgrades.advance()
    assert world.step.state == "waiting"
    world.move_window((time(hour), time((hour + 2) % 24)))
    world.upgrades.advance()
    assert world.step.state == "draining"


@pytest.mark.parametrize(
    ("start", "end", "open_at"),
    [
        (None, None, {1, 12, 23}),
        (time(1), time(3), {1}),
        (time(22), time(2), {1, 23}),
        (time(12), time(0), {12, 23}),
    ],
)
def test_a_window_may_go_past_midnight(start: time | None, end: time | None, open_at: set[int]) -> None:
    connector = ConnectorFactory.build(upgrade_start=start, upgrade_end=end)
    servers = Upgrade(connector=connector, in_window=True)
    for run in (servers, AreaUpgrade(window_start=start, window_end=end)):
        begun = {hour for hour in (1, 12, 23) if run.may_begin(datetime(2026, 1, 1, hour, tzinfo=UTC))}
        assert begun == open_at
    assert Upgrade(connector=connector, in_window=False).may_begin(datetime(2026, 1, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize("minutes", [59 / 60, 2 * 24 * 60])
def test_a_drain_that_is_too_short_or_too_long_is_refused(world: World, minutes: float) -> None:
    with pytest.raises(Invalid, match="1 to 1,440") as refused:
        world.start(minutes=minutes)
    assert refused.value.field == "minutes"


def test_a_window_that_is_none_is_refused(servers: Servers, gateways: Gateways) -> None:
    with pytest.raises(Invalid) as refused:
        services.upgrade_start(
            connector=servers.owner, in_window=True, drain=timedelta(minutes=5), actor=ACTOR
        )
    assert refused.value.field == "when"
    with pytest.raises(Invalid, match="a start and another end"):
        gateways.start(window=(time(1), time(1)))


def test_nothing_to_do_is_said(world: World, wheel: Path) -> None:
    world.agent.says(NEW)
    with pytest.raises(Conflict, match=f"no {world.upgrades.machine} with another version"):
        world.start()
    world.remove()
    with pytest.raises(Conflict, match=f"no {world.upgrades.machine} with another version"):
        world.start()
    wheel.unlink()
    with pytest.raises(Conflict, match="no causeway wheel"):
        world.start()


def test_one_upgrade_of_an_owner_at_a_time(world: World) -> None:
    run = world.start()
    with pytest.raises(Invalid, match="going on already"):
        world.start()
    second: dict[str, Any] = {"version": NEW, "drain_seconds": 60, world.upgrades.owner: world.owner}
    second |= {} if isinstance(world.owner, Area) else {"in_window": False}
    with pytest.raises(IntegrityError), transaction.atomic():
        world.upgrades.runs.objects.create(**second)
    world.upgrades.cancel(upgrade=run, actor=ACTOR)
    assert world.run.state == "cancelled"
    with pytest.raises(Conflict, match="over or was cancelled"):
        world.upgrades.cancel(upgrade=run, actor=ACTOR)
    world.start()


def test_cancelled_while_it_drains_it_serves_on(world: World) -> None:
    run = world.start()
    world.upgrades.advance()
    world.upgrades.cancel(upgrade=run, actor=ACTOR)
    world.upgrades.advance()
    assert world.step.state == "skipped" and "serves on" in world.step.message
    assert {server.state for server in Server.objects.all()} <= {"enabled"}
    assert world.run.state == "cancelled"


def test_cancelled_while_it_checks_it_is_finished_and_no_other_begun(world: World) -> None:
    world.another()
    brought_to_checking(world)
    world.upgrades.cancel(upgrade=world.run, actor=ACTOR)
    assert world.run.state == "running"
    world.agent.says(NEW)
    world.tells("healthy")
    world.upgrades.advance()
    assert world.states() == ["done", "skipped"]
    assert world.run.state == "cancelled"


def test_a_word_about_another_order_or_by_another_machine_changes_nothing(world: World) -> None:
    brought_to_checking(world)
    path = f"{world.upgrades.machine}/upgrade"
    unknown = {"order": "upgrade-0000000000000000", "state": "failed"}
    assert world.agent.call(path, unknown).status_code == 200
    own = unknown | {"order": world.run.pk}
    assert world.another().call(path, own).status_code == 200
    assert world.agent.call(path, own | {"state": "glad"}).status_code == 422
    unsigned = world.agent.client.post(f"/edge/v1/{path}", own, content_type="application/json")
    assert unsigned.status_code == 401
    stranger = (
        Machine("gateway", GatewayFactory().pk)
        if isinstance(world, Servers)
        else Machine("server", ConnectorFactory().pk)
    )
    assert stranger.call(path, own).status_code == 403
    assert world.step.state == "checking"


def test_a_removed_machine_holds_nothing_up(world: World) -> None:
    brought_to_checking(world)
    world.remove()
    world.upgrades.advance()
    assert world.run.state == "done"
