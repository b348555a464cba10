"""Argon2 with seats: a hash takes 100 MiB and a core, and whoever guesses passwords asks for many at once.

``PASSWORD_HASHERS`` names `Argon2`, so that log-ons, log-ins, resets and imports share the seats of a process.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

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

    Strangers stand in line at a door, and one of them at a time waits for the next seat. Whoever is known waits beside
    that one, so that thousands of guesses from elsewhere cost the known caller the time of a hash or two.
    """

    def __init__(self, width: int, waiting: int = WAITING) -> None:
        self._places = {known: Seats(width + waiting) for known in (True, False)}
        self._door = threading.Lock()
        self._width = threading.BoundedSemaphore(width)
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
        with nullcontext() if known else self._door:
            self._width.acquire()
        try:
            yield
        finally:
            self._width.release()


_hashing = Hashing(settings.PASSWORD_HASHES_AT_ONCE)
seat = _hashing.seat


class Argon2(Argon2PasswordHasher):
    """Django's Argon2, with the same hashes; each takes a seat."""

    def encode(self, password: str, salt: str) -> str:
        with seat():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with seat():
            return super().verify(password, encoded)
