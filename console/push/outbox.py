"""The outbox: a message is written with the change that it tells of, and sent afterwards until it arrived.

A delivery is taken for a while (``LEASE``), tried, and recorded. A worker that dies between the attempt and its record
leaves a delivery that another takes again: the receiver gets the same message with the same id once more, never none.
"""

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import F
from django.utils import timezone

from console.core.sealed import unseal
from console.push.models import LONGEST_ANSWER, PURPOSE, PushChannel, PushDelivery, PushMessage
from console.push.sending import Answer, send

log = logging.getLogger("causeway.push")
# Time for which a delivery is taken: longer than all attempts of one turn together (TURN × ATTEMPT_SECONDS).
LEASE = timedelta(seconds=90)
TURN = 8
CHANNELS_AT_ONCE = 8
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 3600.0
KEEP = timedelta(days=30)
WAITING = PushDelivery.State.WAITING


def is_configured() -> bool:
    """Return whether a message that is posted reaches anybody."""
    return PushChannel.objects.filter(enabled=True).exists()


def channels() -> list[PushChannel]:
    """Return the channels that messages are sent through. One query."""
    return list(PushChannel.objects.filter(enabled=True))


def post(
    *, kind: str, title: str, text: str, url: str = "", body: dict[str, Any] | None = None
) -> PushMessage | None:
    """Put a message into the outbox of every enabled channel, within the caller's transaction.

    Without an enabled channel nothing is written, and None returned. One query then, else three.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("post() belongs into the transaction of the change.")
    keys = list(PushChannel.objects.filter(enabled=True).values_list("pk", flat=True))
    if not keys:
        return None
    message = PushMessage.objects.create(kind=kind, title=title[:200], text=text, url=url, body=body or {})
    PushDelivery.objects.bulk_create(PushDelivery(message=message, channel_id=channel) for channel in keys)
    return message


def pause_after(attempts: int) -> float:
    """Return the seconds until the next attempt: doubling from 10 s to an hour, shortened by up to a half at random."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards nothing)


# --- One turn ---------------------------------------------------------------------------------------------------------


def take(now: datetime, channels_busy: Sequence[str] = ()) -> dict[str, list[PushDelivery]]:
    """Take due deliveries, oldest first, at most ``TURN`` a channel; nobody else takes them before the lease ends."""
    with transaction.atomic():
        due = (
            PushDelivery.objects.filter(state=WAITING, due_at__lte=now, channel__enabled=True)
            .exclude(channel__in=list(channels_busy))
            .select_related("message", "channel")
            .order_by("id")
        )
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True, of=("self",))
        taken: dict[str, list[PushDelivery]] = defaultdict(list)
        for delivery in due[: TURN * CHANNELS_AT_ONCE * 4]:
            if len(taken[delivery.channel_id]) < TURN:
                taken[delivery.channel_id].append(delivery)
        keys = [delivery.pk for deliveries in taken.values() for delivery in deliveries]
        if keys:
            # Comparison and change in one: state and due time must be those just read, under the lock.
            PushDelivery.objects.filter(pk__in=keys, state=WAITING, due_at__lte=now).update(
                due_at=now + LEASE, attempts=F("attempts") + 1
            )
    return dict(taken)


def deliver(deliveries: Sequence[PushDelivery]) -> int:
    """Try one channel's deliveries one after the other; a channel that does not answer is left alone for this turn."""
    done = 0
    for number, delivery in enumerate(deliveries):
        delivery.attempts += 1
        channel = delivery.channel
        answer = send(channel, delivery.message, unseal(PURPOSE, channel.sealed))
        record(delivery, answer, timezone.now())
        if not answer.ok:
            _hand_back(deliveries[number + 1 :], delivery)
            break
        done += 1
    return done


def record(delivery: PushDelivery, answer: Answer, now: datetime) -> None:
    """Write down the result of one attempt. A delivery that arrived stays so, whoever tries it besides."""
    mine = PushDelivery.objects.filter(pk=delivery.pk)
    channel = PushChannel.objects.filter(pk=delivery.channel_id)
    if answer.ok:
        mine.exclude(state=PushDelivery.State.DELIVERED).update(
            state=PushDelivery.State.DELIVERED, ended_at=now, answer=answer.text[:LONGEST_ANSWER]
        )
        channel.update(delivered_at=now, failure="")
        return
    mine = mine.filter(state=WAITING, attempts=delivery.attempts)
    if now - delivery.created_at >= settings.PUSH_GIVE_UP:
        mine.update(state=PushDelivery.State.FAILED, ended_at=now, answer=answer.text[:LONGEST_ANSWER])
        log.error("gave %s up after %d attempts: %s", delivery, delivery.attempts, answer.text)
    else:
        pause = max(answer.pause, pause_after(delivery.attempts))
        mine.update(due_at=now + timedelta(seconds=pause), answer=answer.text[:LONGEST_ANSWER])
        log.warning("%s: attempt %d: %s", delivery, delivery.attempts, answer.text)
    channel.update(failed_at=now, failure=answer.text[:LONGEST_ANSWER])


def _hand_back(untried: Sequence[PushDelivery], failed: PushDelivery) -> None:
    """Give back deliveries taken and not tried: no attempt is counted, and a pause lets the receiver recover."""
    keys = [delivery.pk for delivery in untried]
    if keys:
        due = timezone.now() + timedelta(seconds=pause_after(failed.attempts))
        PushDelivery.objects.filter(pk__in=keys, state=WAITING).update(due_at=due, attempts=F("attempts") - 1)


# --- In the worker ----------------------------------------------------------------------------------------------------


class Sender:
    """Sender with threads of its own: a receiver that does not answer holds up neither others nor the worker."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    def turn(self) -> int:
        """Take due deliveries and begin to send them; return how many."""
        with self._lock:
            busy = tuple(self._busy)
        if not PushDelivery.objects.filter(state=WAITING, due_at__lte=timezone.now()).exists():
            return 0
        if len(busy) >= CHANNELS_AT_ONCE:
            return 0
        taken = take(timezone.now(), busy)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(CHANNELS_AT_ONCE, thread_name_prefix="push")
        for channel, deliveries in taken.items():
            with self._lock:
                self._busy.add(channel)
            self._pool.submit(self._send, channel, deliveries)
        return sum(len(deliveries) for deliveries in taken.values())

    def _send(self, channel: str, deliveries: list[PushDelivery]) -> None:
        try:
            close_old_connections()
            deliver(deliveries)
        except Exception:
            # Deliveries are taken again: the lease ends by itself.
            log.exception("sending to %s failed", channel)
        finally:
            connection.close()
            with self._lock:
                self._busy.discard(channel)


sender = Sender()


def forget_old(now: datetime | None = None) -> int:
    """Delete messages that were dealt with long ago."""
    before = (now or timezone.now()) - KEEP
    old = PushMessage.objects.filter(created_at__lt=before).exclude(deliveries__state=WAITING)
    return old.delete()[0]
