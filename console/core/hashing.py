"""Argon2 with seats: a hash takes 100 MiB and a core, and whoever guesses passwords asks for many at once.

``PASSWORD_HASHERS`` names `Argon2`, so that log-ons, log-ins, resets and imports share the seats of a process.
"""

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from console.core.errors import Refusal
from console.core.seats import Full, Seats
from edge.protocol.codes import Code

# Callers that may wait for a hash, each holding one of the threads that serve the console.
WAITING = 12


class HashingBusy(Refusal):
    """Refusal of a caller for whom there is not even a place to wait. ``retry_after``: seconds."""

    status = Code.TRY_AGAIN_LATER.status
    code = Code.TRY_AGAIN_LATER

    def __init__(self, retry_after: int) -> None:
        super().__init__("The console checks as many passwords as it can. Try again in a moment.")
        self.retry_after = retry_after


class Hashing:
    """Seats of one process: `width` hashes at a time, `waiting` callers behind them, and as many whom one knows.

    Whoever is known goes before all strangers, so that thousands of guesses from elsewhere cost the known caller the
    rest of one hash.
    """

    def __init__(self, width: int, waiting: int = WAITING) -> None:
        self._places = {known: Seats(width + waiting) for known in (True, False)}
        self._changed = threading.Condition()
        self._free = width
        self._known_waiting = 0
        self._held = threading.local()

    @contextmanager
    def seat(self, *, known: bool = False) -> Iterator[None]:
        """Hold a seat, once for a thread that holds one already. Raise `HashingBusy`."""
        if getattr(self._held, "by_this_thread", False):
            yield
            return
        try:
            with self._places[known].seat(), self._next(known=known):
                self._held.by_this_thread = True
                try:
                    yield
                finally:
                    self._held.by_this_thread = False
        except Full as full:
            raise HashingBusy(full.retry_after) from None

    @contextmanager
    def _next(self, *, known: bool) -> Iterator[None]:
        with self._changed:
            self._known_waiting += known
            try:
                self._changed.wait_for(lambda: self._free and (known or not self._known_waiting))
            finally:
                self._known_waiting -= known
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


def _give_way() -> None:
    """Let this thread, and those that Argon2 starts from it, run when nobody else wants the processor (Linux).

    A thread that answers calls must not: it would go on giving way while it holds a lock of the database.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


_hashing = Hashing(settings.PASSWORD_HASHES_AT_ONCE)
_hashers = ThreadPoolExecutor(settings.PASSWORD_HASHES_AT_ONCE, "hasher", initializer=_give_way)
seat = _hashing.seat


class Argon2(Argon2PasswordHasher):
    """Django's Argon2, with the same hashes; each takes a seat, and gives way to whatever else the console does."""

    def encode(self, password: str, salt: str) -> str:
        with seat():
            return _hashers.submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        with seat():
            return _hashers.submit(super().verify, password, encoded).result()
