"""Alerts from end to end: real workers that are killed, a real receiver, and what it makes of the messages."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connectors.models import Alert, Server
from console.models import Gateway, PushDelivery
from tests.connectors import factories
from tests.connectors.alert_world import channel, rule
from tests.console.push_receivers import wait_for, worker

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.processes]


def view_of(receiver: Any) -> Any:
    """What a receiver knows that counts every id once, as docs/webhooks.md tells it to: changes in their order."""
    messages = {got.json["id"]: got.json for got in receiver.got}
    ordered = sorted(messages.values(), key=lambda message: message["created_at"])
    return [(alert["id"], alert["change"]) for message in ordered for alert in message["alerts"]]


def test_every_change_is_known_once_though_workers_die(
    receiver: Any, connector: Any, server: Any, gateway: Any
) -> None:
    channel(name="hook", kind="webhook", recipients="", url=receiver.url)
    rule(connector, "connection", hold_seconds=3)
    factories.enrolled_gateway(gateway)
    Server.objects.update(heard_at=timezone.now() - timedelta(hours=1))
    receiver.hold.clear()
    with worker() as first:
        wait_for(lambda: receiver.got)  # the receiver has it; the worker waits for the answer
        first.send_signal(signal.SIGKILL)
        first.wait(20)
    alert = Alert.objects.get(kind="connection")
    assert (alert.state, alert.told) == ("firing", "firing")
    receiver.hold.set()
    PushDelivery.objects.update(due_at=timezone.now())  # instead of waiting for the lease's end
    with worker() as second:
        wait_for(lambda: PushDelivery.objects.filter(state="delivered").exists())
        receiver.hold.clear()
        far = timezone.now() + timedelta(minutes=5)
        factories.tunnel(gateway, server)
        # It is back: heard of for longer than this test lasts.
        Server.objects.update(heard_at=far)
        Gateway.objects.update(heard_at=far)
        server.tunnels.update(seen_at=far)
        wait_for(lambda: len(receiver.got) == 3)
        second.send_signal(signal.SIGKILL)
        second.wait(20)
    receiver.hold.set()
    PushDelivery.objects.filter(state="waiting").update(due_at=timezone.now())
    with worker():
        wait_for(lambda: not PushDelivery.objects.filter(state="waiting").exists())
    ids = receiver.ids()
    assert ids[0] == ids[1] and ids[2] == ids[3] and len(set(ids)) == 2, "at least once, with the same id"
    assert view_of(receiver) == [(alert.pk, "firing"), (alert.pk, "resolved")]
    changes = Alert.objects.filter(kind="connection").values_list("state", "told")
    assert list(changes) == [("resolved", "resolved")]
