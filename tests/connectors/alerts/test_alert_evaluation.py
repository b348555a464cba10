"""Rounds of the worker over real rows: what fires, what is told, and what a round costs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from connectors.alerts import evaluation, services
from connectors.fleet import pace
from connectors.fleet import services as fleet
from connectors.models import Alert, AlertSettings, Connector, Latest, Server
from console.machines import config
from console.models import ConfigVersion, Gateway, PushDelivery, PushMessage
from tests.connectors import factories
from tests.connectors.alert_world import NOW, after, channel, measured, rounds, rule, states, told
from tests.connectors.factories import ACTOR, ServerFactory
from tests.queries import queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def watched(connector: Connector, server: Server) -> Server:
    """Server whose bandwidth alert is set: 100 Mbit/s for a minute."""
    rule(connector, "bandwidth", threshold=100.0, hold_seconds=60, hysteresis_percent=10)
    for kind in ("connection", "drift", "history", "certificate", "figures", "clone"):
        rule(connector, kind, enabled=False)
    return server


def test_bandwidth_fires_after_its_time_and_ends_below_the_hysteresis(watched: Server) -> None:
    channel()
    rounds(watched, (0, 150), (30, 120))
    assert states("bandwidth") == ["pending"] and told() == []
    rounds(watched, (60, 110), (70, 95))
    assert states("bandwidth") == ["firing"] and told() == ["firing"]
    rounds(watched, (80, 89))
    assert states("bandwidth") == ["resolved"] and told() == ["firing", "resolved"]
    alert = Alert.objects.get()
    assert (alert.since, alert.fired_at, alert.resolved_at) == (after(0), after(60), after(80))
    assert (alert.value, alert.threshold, alert.end) == (110.0, 100.0, "recovered")


def test_the_last_moment_of_an_agent_that_stops_is_no_peak(watched: Server) -> None:
    """Samples of a tenth of a second count as ones of a second, as on the pages and in the charts' peaks."""
    channel()
    measured(watched, NOW)
    Latest.objects.filter(server=watched).update(seconds=0.1, rx_bytes=2_500_000, tx_bytes=0)
    evaluation.evaluate(NOW)
    assert not Alert.objects.exists()


def test_a_short_peak_leaves_nothing_behind(watched: Server) -> None:
    channel()
    rounds(watched, (0, 150), (30, 50))
    assert not Alert.objects.exists() and not PushMessage.objects.exists()


def test_what_is_not_measured_is_not_zero(watched: Server) -> None:
    channel()
    rounds(watched, (0, 150), (60, 150), (70, None), (400, None))
    assert states("bandwidth") == ["firing"] and told() == ["firing"]


def test_the_stored_states_are_those_of_the_machine_restarted_at_every_round(watched: Server) -> None:
    """Rounds start from the rows alone: a restarted worker loses nothing."""
    values = [150, 150, 95, 95, 80, 150, None, 150, 150, 20, 150]
    rounds(watched, *((30 * place, value) for place, value in enumerate(values)))
    assert states("bandwidth") == ["resolved", "resolved", "pending"]


def test_latency_is_compared_in_milliseconds(watched: Server, connector: Connector) -> None:
    rule(connector, "latency", threshold=200.0, hold_seconds=0)
    channel()
    measured(watched, NOW, latency=199.0)
    evaluation.evaluate(NOW)
    assert states("latency") == []
    measured(watched, after(5), latency=250.0)
    evaluation.evaluate(after(5))
    message = PushMessage.objects.get()
    assert "250 ms, threshold 200 ms" in message.text and message.body["alerts"][0]["unit"] == "ms"


def test_a_server_that_falls_silent_has_no_connection(server: Server, gateway: Gateway) -> None:
    channel()
    factories.tunnel(gateway, server)
    Server.objects.filter(pk=server.pk).update(heard_at=after(0))
    evaluation.evaluate(after(0))
    assert states("connection") == []
    Gateway.objects.update(heard_at=after(200))
    evaluation.evaluate(after(80))
    Gateway.objects.update(heard_at=after(200))
    evaluation.evaluate(after(160))
    evaluation.evaluate(after(200))
    assert states("connection") == ["firing"]


def test_a_server_without_tunnel_has_no_connection_though_it_is_heard_of(
    server: Server, gateway: Gateway
) -> None:
    factories.enrolled_gateway(gateway)
    for seconds in (0, 60, 120):
        Server.objects.update(heard_at=after(seconds))
        Gateway.objects.update(heard_at=after(seconds))
        evaluation.evaluate(after(seconds))
    assert states("connection") == ["firing"]


def test_without_any_gateway_heard_of_nobody_knows_of_tunnels(server: Server) -> None:
    for seconds in (0, 60, 120):
        Server.objects.update(heard_at=after(seconds))
        evaluation.evaluate(after(seconds))
    assert states("connection") == []


def test_a_server_that_never_came_is_no_alert(connector: Connector) -> None:
    ServerFactory(connector=connector)
    evaluation.evaluate(after(0))
    evaluation.evaluate(after(1000))
    assert not Alert.objects.exists()


def test_whoever_switches_off_is_not_told_that_it_is_off(watched: Server, connector: Connector) -> None:
    channel()
    rounds(watched, (0, 150), (60, 150))
    fleet.connector_switch(connector=connector, enabled=False, actor=ACTOR)
    rounds(watched, (65, 150))
    assert Alert.objects.get().end == "not_watched" and told() == ["firing", "resolved"]


def test_a_rule_switched_off_ends_its_alerts(watched: Server, connector: Connector) -> None:
    rounds(watched, (0, 150), (60, 150))
    services.rule_switch(connector=connector, kind="bandwidth", enabled=False, actor=ACTOR)
    rounds(watched, (65, 150))
    assert states("bandwidth") == ["resolved"]


def test_a_removed_servers_alert_ends_and_stays_in_the_history(watched: Server) -> None:
    rounds(watched, (0, 150), (60, 150))
    fleet.server_remove(server=watched, actor=ACTOR)
    evaluation.evaluate(after(65))
    alert = Alert.objects.get()
    assert (alert.end, alert.subject_name) == ("removed", watched.hostname)


def test_drift_counts_from_the_version_that_was_missed(server: Server, gateway: Gateway) -> None:
    """Machines that keep applying, only never the newest, are not adrift; one that stands still is."""
    factories.enrolled_gateway(gateway)
    version = ConfigVersion.objects.get().version
    for place in range(8):
        config.publish()
        Gateway.objects.update(heard_at=after(20 * place), applied_version=version + place)
        evaluation.evaluate(after(20 * place))
    assert "firing" not in states("drift")
    for place in range(8, 14):
        config.publish()
        Gateway.objects.update(heard_at=after(20 * place))
        evaluation.evaluate(after(20 * place))
    alert = Alert.objects.get(kind="drift", state="firing")
    assert (alert.subject_kind, alert.subject, alert.connector) == ("gateway", gateway.pk, "")


def test_a_certificate_that_is_not_renewed_is_told_of_a_day_before(server: Server) -> None:
    Server.objects.update(heard_at=NOW, certificate_ends_at=NOW + timedelta(hours=25))
    evaluation.evaluate(NOW)
    assert states("certificate") == []
    Server.objects.update(certificate_ends_at=NOW + timedelta(hours=23))
    evaluation.evaluate(NOW)
    assert states("certificate") == ["firing"]
    Server.objects.update(certificate_ends_at=NOW + timedelta(hours=168))
    evaluation.evaluate(NOW)
    assert states("certificate") == ["resolved"]


def test_a_gateways_certificate_is_watched_as_well_by_the_gateways_own_rule(gateway: Gateway) -> None:
    ends_at = NOW + timedelta(hours=30)
    Gateway.objects.update(enrolled_at=NOW, heard_at=NOW, certificate_ends_at=ends_at)
    evaluation.evaluate(NOW)
    assert states("certificate") == []
    services.rule_update(connector=None, kind="certificate", threshold=36.0, actor=ACTOR)
    evaluation.evaluate(NOW)
    alert = Alert.objects.get(kind="certificate")
    assert (alert.state, alert.subject, alert.connector, alert.value) == ("firing", gateway.pk, "", 30.0)
    Gateway.objects.update(certificate_ends_at=NOW + timedelta(hours=168))
    evaluation.evaluate(NOW)
    assert states("certificate") == ["resolved"]


# --- Telling ----------------------------------------------------------------------------------------------------------


def test_without_a_channel_nothing_is_queued_and_with_one_what_fires_is_told(watched: Server) -> None:
    rounds(watched, (0, 150), (60, 150))
    assert states("bandwidth") == ["firing"] and not PushMessage.objects.exists()
    channel()
    rounds(watched, (65, 150), (70, 150))
    assert told() == ["firing"] and PushDelivery.objects.count() == 1


def test_each_change_is_told_once_though_two_workers_look(watched: Server) -> None:
    channel()
    rounds(watched, (0, 150), (60, 150))
    for _ in range(3):
        evaluation.evaluate(after(60))
    assert told() == ["firing"]


def test_a_reminder_comes_when_it_is_due_until_somebody_looks_after_it(watched: Server) -> None:
    channel()
    services.settings_update(remind_minutes=10, actor=ACTOR)
    rounds(watched, (0, 150), (60, 150), (600, 150), (661, 150), (700, 150))
    assert told() == ["firing", "reminder"]
    services.alert_acknowledge(alert=Alert.objects.get(), actor=ACTOR)
    rounds(watched, (1400, 150), (2100, 150), (2105, 10))
    assert told() == ["firing", "reminder", "resolved"]


def test_a_rule_without_recovery_notice_tells_no_end(watched: Server, connector: Connector) -> None:
    channel()
    rule(connector, "bandwidth", recovery=False)
    rounds(watched, (0, 150), (60, 150), (65, 10))
    assert told() == ["firing"] and states("bandwidth") == ["resolved"]


def test_silence_holds_back_and_what_still_fires_is_told_afterwards(
    watched: Server, connector: Connector
) -> None:
    channel()
    silence = services.silence_create(
        target=connector.pk, target_name=connector.name, lasts=timedelta(hours=1), actor=ACTOR
    )
    rounds(watched, (0, 150), (60, 150))
    assert states("bandwidth") == ["firing"] and told() == []
    services.silence_end(silence=silence, actor=ACTOR, now=after(61))
    rounds(watched, (65, 150))
    assert told() == ["firing"]


def test_what_fires_and_ends_within_a_silence_is_never_told(watched: Server) -> None:
    channel()
    services.silence_create(
        target=watched.pk, target_name="x", kind="bandwidth", lasts=timedelta(hours=1), actor=ACTOR
    )
    rounds(watched, (0, 150), (60, 150), (65, 10), (8000, 10))
    assert told() == []


@pytest.mark.parametrize(
    ("count", "messages"),
    [(7, 1), (3, 3)],
    ids=["many are one message", "few are a message each"],
)
def test_of_alerts_at_once(connector: Connector, watched: Server, count: int, messages: int) -> None:
    channel()
    servers: list[Server] = ServerFactory.create_batch(count - 1, connector=connector, heard=True)
    servers.append(watched)
    for seconds in (0, 60):
        for server in servers:
            measured(server, after(seconds), mbit=200)
        evaluation.evaluate(after(seconds))
    found = PushMessage.objects.all()
    assert len(found) == messages and (found[0].title == "7 alerts: 7 firing") == (messages == 1)
    told_of = [item["subject"]["id"] for message in found for item in message.body["alerts"]]
    assert sorted(told_of) == sorted(server.pk for server in servers)


def test_a_change_and_its_notice_are_one_transaction(
    watched: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds that die while they tell leave neither the state nor the message."""
    channel()
    rounds(watched, (0, 150))
    dies = connection.execute_wrapper(_dies_at("console_pushdelivery"))
    with pytest.raises(RuntimeError, match="power cut"), dies:
        rounds(watched, (60, 150))
    assert states("bandwidth") == ["pending"] and not PushMessage.objects.exists()
    rounds(watched, (65, 150))
    assert states("bandwidth") == ["firing"] and told() == ["firing"]


def _dies_at(table: str) -> Callable[..., Any]:
    def wrapper(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if sql.startswith("INSERT") and table in sql:
            raise RuntimeError("power cut")
        return execute(sql, *more)

    return wrapper


@pytest.mark.slow
def test_the_cost_does_not_grow_with_the_servers(connector: Connector, watched: Server) -> None:
    channel()

    def cost(seconds: int, mbit: int) -> int:
        for server in Server.objects.filter(latest=None):
            Latest.objects.create(server=server, time=NOW, seconds=1, rx_bytes=0, tx_bytes=0)
        Latest.objects.update(time=after(seconds), tx_bytes=int(mbit * 125_000))
        Server.objects.update(heard_at=after(seconds))
        pace.refresh(at_once=True)  # else one query more after 20 s of the real clock, on a slow machine
        return len(queries(evaluation.evaluate, after(seconds)))

    AlertSettings.objects.update_or_create(id=1, defaults={"group_from": 5})
    for _ in range(9):
        ServerFactory(connector=connector, heard=True)
    counts = [cost(0, 1), cost(5, 200), cost(70, 200), cost(80, 1)]
    Server.objects.bulk_create(ServerFactory.build(connector=connector) for _ in range(190))
    again = [cost(1000, 1), cost(1005, 200), cost(1070, 200), cost(1080, 1)]
    assert again[0] == counts[0] <= 16
    # Batches write two hundred changes at once in few queries, not one by one.
    assert max(again) <= 30
