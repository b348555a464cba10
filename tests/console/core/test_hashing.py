"""Passwords are hashed a few at a time; whoever finds no place is told when to come again, at every door."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from console.core import hashing
from console.core.hashing import Argon2, Hashing, HashingBusy
from console.models import User
from tests.demo import wait_until


class Crowd:
    """Threads that hold or await a seat until `leave` is set."""

    def __init__(self, seats: Hashing, count: int) -> None:
        self._seats, self.leave = seats, threading.Event()
        self._lock, self._inside = threading.Lock(), 0
        self.most = 0
        self.came = threading.Semaphore(0)
        self._pool = ThreadPoolExecutor(count)
        self.calls = [self._pool.submit(self._hold) for _ in range(count)]

    def _hold(self) -> None:
        with self._seats.seat():
            with self._lock:
                self._inside += 1
                self.most = max(self.most, self._inside)
            self.came.release()
            self.leave.wait(20)
            with self._lock:
                self._inside -= 1

    def end(self) -> None:
        self.leave.set()
        self._pool.shutdown()


def test_so_many_are_hashed_at_a_time_and_no_more() -> None:
    crowd = Crowd(Hashing(2, waiting=8), 10)
    assert crowd.came.acquire(timeout=20) and crowd.came.acquire(timeout=20)
    crowd.end()
    assert [call.exception(20) for call in crowd.calls] == [None] * 10
    assert crowd.most == 2


def test_a_thread_that_holds_a_seat_needs_no_second_one() -> None:
    seats = Hashing(1, waiting=0)

    def finds_one() -> bool:
        try:
            with seats.seat():
                return True
        except HashingBusy:
            return False

    with ThreadPoolExecutor(1) as other:
        with seats.seat(), seats.seat():
            assert not other.submit(finds_one).result(20), "the seat is taken"
        assert other.submit(finds_one).result(20), "the seat was given back, once"


def test_who_is_known_finds_a_place_where_strangers_find_none() -> None:
    seats = Hashing(1, waiting=0)

    def comes(known: bool) -> bool:
        try:
            with seats.seat(known=known):
                return True
        except HashingBusy:
            return False

    with ThreadPoolExecutor(1) as other:
        with seats.seat():
            assert not other.submit(comes, False).result(20), "a stranger is told to come again"
            waits = other.submit(comes, True)
        assert waits.result(20), "who is known waits for the seat"


def test_who_is_known_goes_before_strangers_who_came_first() -> None:
    seats, came = Hashing(1, waiting=8), list[str]()

    def comes(name: str) -> None:
        with seats.seat(known=name == "known"):
            came.append(name)

    with ThreadPoolExecutor(5) as pool:
        with seats.seat():
            calls = [pool.submit(comes, "stranger") for _ in range(4)]
            wait_until(lambda: waiting(seats) == 4, 20, what="four strangers in line")
            calls.append(pool.submit(comes, "known"))
            wait_until(lambda: waiting(seats) == 5, 20, what="the known caller in line")
        for call in calls:
            call.result(20)
    assert came == ["known"] + 4 * ["stranger"]


def waiting(seats: Hashing) -> int:
    with seats._changed:
        return len(seats._changed._waiters)  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform != "linux", reason="no such threads elsewhere")
def test_a_hash_has_the_processor_when_nobody_else_wants_it(argon2: None) -> None:
    assert make_password("secret").startswith("argon2")
    threads = [each for each in threading.enumerate() if each.name.startswith("hasher")]
    assert threads and all(os.sched_getscheduler(each.native_id or 0) == os.SCHED_IDLE for each in threads)
    assert os.sched_getscheduler(0) != os.SCHED_IDLE


def test_hashes_are_those_of_django() -> None:
    ours, theirs = Argon2(), Argon2PasswordHasher()
    assert theirs.verify("secret", ours.encode("secret", "saltsaltsalt"))
    assert ours.verify("secret", theirs.encode("secret", "saltsaltsalt"))
    assert not ours.verify("Secret", theirs.encode("secret", "saltsaltsalt"))


@pytest.fixture
def argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["console.core.hashing.Argon2"]


@pytest.fixture
def person(argon2: None, administrator: User) -> str:
    """Name of an administrator whose password is hashed as in operation."""
    return administrator.username


@pytest.fixture
def full(argon2: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A console that checks one password at a time, and is at it."""
    seats = Hashing(1, waiting=0)
    monkeypatch.setattr(hashing, "seat", seats.seat)
    crowd = Crowd(seats, 1)
    assert crowd.came.acquire(timeout=20)
    yield
    crowd.end()


@pytest.mark.usefixtures("full")
def test_who_finds_no_place_is_told_when_to_come_again() -> None:
    with pytest.raises(HashingBusy) as busy:
        Argon2().encode("secret", "saltsaltsalt")
    assert busy.value.status == 503 and busy.value.retry_after >= 1


@pytest.mark.django_db
@pytest.mark.parametrize("exists", [True, False])
def test_the_log_in_page_says_so_and_counts_no_failure(person: str, full: None, exists: bool) -> None:
    client = Client()
    form = {"username": person if exists else "nobody-here", "password": "guess"}
    for _ in range(8):  # more than lock an account out
        answer = client.post(reverse("login"), form)
        assert answer.status_code == 503 and int(answer["Retry-After"]) >= 1
        assert "The console checks as many passwords as it can. Try again in a moment." in answer.text
