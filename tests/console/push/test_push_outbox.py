"""The outbox: what was posted arrives, at least once, known by its id."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from console.core import audit
from console.models import PushChannel, PushDelivery, PushMessage
from console.push import outbox, services
from console.push.sending import Answer
from tests.console.push_receivers import WebReceiver, wait_for, web_receiver, worker

pytestmark = pytest.mark.django_db
ACTOR = audit.System("test")


@pytest.fixture
def channel(receiver: WebReceiver) -> PushChannel:
    return services.channel_create(name="hook", kind="webhook", url=receiver.url, actor=ACTOR)[0]


def post(title: str = "Something happened", **values: Any) -> PushMessage | None:
    with transaction.atomic():
        return outbox.post(kind="alerts", title=title, text="In words.", **values)


def turn(now: None = None) -> None:
    """One turn, in this thread."""
    for deliveries in outbox.take(now or timezone.now()).values():
        outbox.deliver(deliveries)


def due_now() -> None:
    PushDelivery.objects.update(due_at=timezone.now())


def test_without_a_channel_nothing_is_written() -> None:
    assert post() is None and not PushMessage.objects.exists()


def test_a_message_goes_to_every_enabled_channel(receiver: WebReceiver, channel: PushChannel) -> None:
    services.channel_create(name="off", kind="webhook", url=receiver.url, actor=ACTOR)
    services.channel_switch(channel=PushChannel.objects.get(name="off"), enabled=False, actor=ACTOR)
    message = post(body={"alerts": []})
    assert message
    turn()
    delivery = PushDelivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.answer) == ("delivered", 1, "Answered 200: ok")
    assert [got.json["id"] for got in receiver.got] == [message.pk]
    turn()
    assert len(receiver.got) == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_what_is_rolled_back_is_not_told(receiver: WebReceiver, channel: PushChannel) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        outbox.post(kind="alerts", title="t", text="t")
        raise RuntimeError
    with pytest.raises(transaction.TransactionManagementError):
        outbox.post(kind="alerts", title="t", text="t")
    turn()
    assert receiver.got == []


def test_a_failure_is_tried_again_later_with_the_same_id_and_a_new_signature_time(
    receiver: WebReceiver, channel: PushChannel
) -> None:
    receiver.status = 503
    post()
    turn()
    delivery = PushDelivery.objects.get()
    assert delivery.state == "waiting" and delivery.answer == "Answered 503: ok"
    assert delivery.due_at > timezone.now() + timedelta(seconds=4)
    turn()
    assert len(receiver.got) == 1, "not before it is due"
    receiver.status = 204
    due_now()
    turn()
    channel.refresh_from_db()
    assert len(set(receiver.ids())) == 1 and len(receiver.got) == 2
    assert PushDelivery.objects.get().state == "delivered" and not channel.is_failing


def test_a_receiver_that_asks_for_a_pause_gets_it(receiver: WebReceiver, channel: PushChannel) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "900"}
    post()
    turn()
    assert PushDelivery.objects.get().due_at > timezone.now() + timedelta(seconds=890)


def test_pauses_double_with_jitter_up_to_an_hour() -> None:
    for attempts, longest in ((1, 10), (2, 20), (5, 160), (9, 2560), (10, 3600), (1000, 3600)):
        pauses = {outbox.pause_after(attempts) for _ in range(50)}
        assert len(pauses) > 1 and longest / 2 <= min(pauses) and max(pauses) <= longest


def test_after_the_first_failure_the_others_of_the_channel_wait_without_an_attempt(
    receiver: WebReceiver, channel: PushChannel
) -> None:
    receiver.status = 500
    for number in range(3):
        post(f"number {number}")
    turn()
    assert len(receiver.got) == 1
    assert sorted(PushDelivery.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    receiver.status = 200
    due_now()
    turn()
    assert [got.json["title"] for got in receiver.got[1:]] == ["number 0", "number 1", "number 2"]


def test_it_is_given_up_after_days_and_the_failure_stays_visible(
    receiver: WebReceiver, channel: PushChannel, settings: Settings, operator_client: Client
) -> None:
    receiver.status = 500
    post()
    PushDelivery.objects.update(created_at=timezone.now() - settings.PUSH_GIVE_UP - timedelta(minutes=1))
    turn()
    delivery = PushDelivery.objects.get()
    assert (delivery.state, delivery.answer) == ("failed", "Answered 500: ok")
    due_now()
    turn()
    assert len(receiver.got) == 1
    page = operator_client.get("/settings/push/").text
    assert "Messages were given up" in page
    page = operator_client.get("/settings/push/messages/?state=failed").text
    assert "Given up" in page and "Answered 500" in page
    receiver.status = 200
    operator_client.post(f"/settings/push/messages/{delivery.pk}/retry/")
    turn()
    assert len(set(receiver.ids())) == 1 and PushDelivery.objects.get().state == "delivered"


def test_two_workers_do_not_take_the_same(channel: PushChannel) -> None:
    post()
    now = timezone.now()
    assert len(outbox.take(now)) == 1 and outbox.take(now) == {}
    assert len(outbox.take(now + outbox.LEASE + timedelta(seconds=1))) == 1


def test_a_late_record_of_a_lost_lease_does_not_undo_what_the_next_one_did(channel: PushChannel) -> None:
    post()
    now = timezone.now()
    (first,) = outbox.take(now)[channel.pk]
    first.attempts += 1
    (second,) = outbox.take(now + outbox.LEASE + timedelta(seconds=1))[channel.pk]
    second.attempts += 1
    outbox.record(second, Answer(True, "ok"), now)
    outbox.record(first, Answer(False, "too late"), now)
    assert PushDelivery.objects.get().state == "delivered"


def test_old_messages_are_forgotten_but_none_that_waits(receiver: WebReceiver, channel: PushChannel) -> None:
    post("delivered")
    turn()
    receiver.status = 500
    post("waits")
    turn()
    PushMessage.objects.update(created_at=timezone.now() - outbox.KEEP - timedelta(days=1))
    outbox.forget_old()
    assert [message.title for message in PushMessage.objects.all()] == ["waits"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_receiver_that_hangs_holds_up_no_other(receiver: WebReceiver, channel: PushChannel) -> None:
    with web_receiver() as other:
        services.channel_create(name="other", kind="webhook", url=other.url, actor=ACTOR)
        receiver.hold.clear()
        post()
        sender = outbox.Sender()
        sender.turn()
        wait_for(lambda: PushDelivery.objects.filter(state="delivered", channel__name="other").exists())
        assert PushDelivery.objects.get(channel=channel).state == "waiting"
        assert sender.turn() == 0, "a channel that is busy is not taken again"
        receiver.hold.set()
        wait_for(lambda: not PushDelivery.objects.filter(state="waiting").exists())


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.processes
def test_a_worker_killed_between_sending_and_recording_sends_the_same_id_again(
    receiver: Any, channel: Any
) -> None:
    receiver.hold.clear()
    message = post()
    assert message
    with worker() as first:
        wait_for(lambda: receiver.got)  # it has the message, the worker does not know yet
        first.send_signal(signal.SIGKILL)
        first.wait(20)
    receiver.hold.set()
    assert PushDelivery.objects.get().state == "waiting"
    due_now()  # instead of waiting for the lease's end
    with worker():
        wait_for(lambda: PushDelivery.objects.filter(state="delivered").exists())
    assert receiver.ids() == [message.pk, message.pk]
