"""Group commit: calls that arrive together are written in one transaction, and each is answered after its commit.

The first to arrive leads: it waits for the group before it to be written, during which others join, and a moment longer
when calls are dense. It writes for all of them; the others wait for it. When a group fails, each call is tried alone,
so that one that cannot be written does not take the others along.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from django.db import connection, transaction

from console.core.errors import Refusal

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Busy(Refusal):
    """Refusal of a call while as many calls wait as may."""

    status = 503
    code = "TryAgainLater"
    retry_after = 2


@dataclass
class _Call(Generic[Item, Answer]):
    item: Item
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    error: BaseException | None = None


class Groups(Generic[Item, Answer]):
    """Calls in groups. ``write``: stores items in one transaction, in a caller's thread, and answers for each item.

    At most ``most`` items wait at a time, in each process. ``linger``: seconds that a leader waits for others.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Sequence[Answer]], *, linger: float = 0.02, most: int = 1000
    ) -> None:
        self._write = write
        self._linger = linger
        self._most = most
        self._waiting: list[_Call[Item, Answer]] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._last_written = 0.0

    def submit(self, item: Item) -> Answer:
        """Write an item and return after the commit. Raise what ``write`` raises for this item, and ``Busy``."""
        if connection.in_atomic_block:
            # Write alone within a caller's transaction: no other call's answer may depend on its end.
            return self._write([item])[0]
        call: _Call[Item, Answer] = _Call(item)
        with self._lock:
            if len(self._waiting) >= self._most:
                raise Busy("The console cannot write as fast as servers report. Try again later.")
            self._waiting.append(call)
            leads = len(self._waiting) == 1
        if leads:
            self._lead()
        call.done.wait()
        if call.error is not None:
            raise call.error
        return call.answer  # type: ignore[return-value]

    def _lead(self) -> None:
        with self._writing:
            if time.monotonic() - self._last_written < self._linger:
                time.sleep(self._linger)
            with self._lock:
                group, self._waiting = self._waiting, []
            try:
                self._commit(group)
            finally:
                self._last_written = time.monotonic()
                for call in group:
                    call.done.set()

    def _commit(self, group: list[_Call[Item, Answer]]) -> None:
        try:
            with transaction.atomic():
                answers = self._write([call.item for call in group])
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
            for call in group:
                self._commit([call])
            return
        except BaseException as error:
            for call in group:
                call.error = error
            raise
        for call, answer in zip(group, answers, strict=True):
            call.answer = answer
