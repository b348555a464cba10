"""Repeated failures lock out whoever guesses, and nobody else; guesses at large are slowed."""

import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from console.core import hashing
from console.core.hashing import Hashing
from roaming.models import Instance, LogonFailures
from roaming.sessions import lockout
from tests.at_once import at_once
from tests.console.machine import Machine
from tests.responses import Response
from tests.roaming.answers import refusal
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_failures(settings: Settings) -> None:
    settings.LOGON_FAILURE_LIMIT = 3
    # So long that a bucket leaks nothing to speak of while a slow machine fills the bucket.
    settings.LOGON_LOCKOUT = timedelta(hours=300)


def fail(login: Callable[..., Any], times: int = 1, **changes: str) -> Response:
    """The answer to the last of so many log-ons, each with another wrong password."""
    for _ in range(times):
        response = login(**{"password": f"wrong-{secrets.token_hex(4)}"} | changes)
    return response


def later(hours: float) -> None:
    """Move every row into the past, as if time had passed."""
    for row in LogonFailures.objects.all():
        row.updated_at -= timedelta(hours=hours)
        row.until = row.until and row.until - timedelta(hours=hours)
        row.turn_at = row.turn_at and row.turn_at - timedelta(hours=hours)
        row.save()


def guess_from(
    machine: Machine, credentials: dict[str, str], address: str, times: int, **changes: str
) -> Response:
    """The answer of a gateway's last of so many guesses for a client at an address."""
    for _ in range(times):
        body = credentials | {"public_address": address, "password": f"wrong-{secrets.token_hex(4)}"}
        response = machine.call("login", body | changes)
    return response


def test_the_right_password_no_longer_helps_after_the_limit(login: Callable[..., Any]) -> None:
    assert refusal(fail(login, 3)) == (401, "LogonRefused")
    response = login()
    assert refusal(response) == (429, "LockedOut")
    assert 0 < int(response["Retry-After"]) <= 300 * 3600


def test_the_lock_ends_and_counting_begins_anew(login: Callable[..., Any]) -> None:
    fail(login, 3)
    later(hours=360)
    assert refusal(fail(login)) == (401, "LogonRefused")
    assert login().status_code == 200


def test_failures_far_apart_do_not_add_up(login: Callable[..., Any]) -> None:
    fail(login, 2)
    later(hours=360)
    fail(login, 2)
    assert login().status_code == 200


def test_a_success_forgets_the_failures_of_the_name(login: Callable[..., Any]) -> None:
    for _ in range(3):
        fail(login, 2)
        assert login().status_code == 200


def test_a_name_that_does_not_exist_locks_as_one_that_does(login: Callable[..., Any]) -> None:
    fail(login, 3, username="nobody-here")
    assert refusal(fail(login, username="NOBODY-here")) == (429, "LockedOut")


def test_others_are_not_locked_out_with_one_name(login: Callable[..., Any]) -> None:
    fail(login, 3, username="nobody-here")
    assert login().status_code == 200


def test_one_mistake_that_a_program_repeats_counts_once(login: Callable[..., Any]) -> None:
    for _ in range(20):
        assert refusal(fail(login, password="of-last-year")) == (401, "LogonRefused")
    assert login().status_code == 200


def test_a_lock_out_slides(login: Callable[..., Any]) -> None:
    locked = fail(login, 4)
    assert refusal(locked) == (429, "LockedOut")
    assert int(locked["Retry-After"]) <= 100 * 3600, "room for one more of three in 300 hours"
    later(hours=120)
    assert refusal(fail(login)) == (401, "LogonRefused")
    assert refusal(fail(login)) == (429, "LockedOut")


def test_whoever_guesses_shuts_out_nobody_else(machine: Machine, credentials: dict[str, str]) -> None:
    assert refusal(guess_from(machine, credentials, "203.0.113.9", 4)) == (429, "LockedOut")
    owner = machine.call("login", credentials | {"public_address": "203.0.113.10"})
    assert owner.status_code == 200


WIDE = 3 * lockout.WIDE_FACTOR


def test_an_address_that_guesses_many_names_is_slowed_and_whoever_was_there_before_is_not(
    machine: Machine, credentials: dict[str, str], instance: Instance
) -> None:
    at = {"public_address": "203.0.113.9"}
    assert machine.call("login", credentials | at).status_code == 200
    for number in range(WIDE):
        answer = guess_from(machine, credentials, at["public_address"], 1, username=f"guess{number:04}")
        assert answer.status_code == 401
    first, second = AccountFactory(instance=instance), AccountFactory(instance=instance)
    body = credentials | at | {"username": first.username}
    assert machine.call("login", body).status_code == 200, "the first turn"
    body = credentials | at | {"username": second.username}
    slowed = machine.call("login", body)
    assert refusal(slowed) == (503, "TryAgainLater") and int(slowed["Retry-After"]) >= 1
    assert machine.call("login", credentials | at).status_code == 200, "was there before"
    later(hours=1)
    assert machine.call("login", body).status_code == 200, "the right password is slowed, and not refused"


def test_an_account_that_is_guessed_at_from_many_addresses_is_slowed(
    machine: Machine, credentials: dict[str, str]
) -> None:
    for number in range(WIDE):
        assert guess_from(machine, credentials, f"203.0.113.{number}", 1).status_code == 401
    assert guess_from(machine, credentials, "203.0.113.99", 1).status_code == 401, "the first turn"
    assert refusal(guess_from(machine, credentials, "203.0.113.100", 1)) == (503, "TryAgainLater")
    other = machine.call(
        "login", credentials | {"username": "somebody-else", "public_address": "203.0.113.100"}
    )
    assert refusal(other) == (401, "LogonRefused"), "others are not slowed"


def test_old_failures_are_forgotten(login: Callable[..., Any]) -> None:
    fail(login, 3)
    assert lockout.forget_old() == 0
    later(hours=360)
    fail(login, 1, username="nobody-here")
    # Bucket of the address was filled anew; those of the first name are empty.
    assert lockout.forget_old() == 2


def test_a_console_that_checks_as_many_passwords_as_it_can_says_when_to_come_again(
    login: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seats = Hashing(1, waiting=0)
    monkeypatch.setattr(hashing, "seat", seats.seat)
    with ThreadPoolExecutor(1) as other, ExitStack() as held:
        other.submit(held.enter_context, seats.seat()).result(20)
        for _ in range(4):
            response = login(password="wrong-password")
            assert refusal(response) == (503, "TryAgainLater") and int(response["Retry-After"]) >= 1
        other.submit(held.close).result(20)
    assert login().status_code == 200, "nobody's password was wrong"


def test_where_the_account_was_before_it_waits_and_is_not_turned_away(
    machine: Machine, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = (credentials | {"public_address": f"203.0.113.{number}"} for number in (1, 2))
    assert machine.call("login", here).status_code == 200
    seats = Hashing(1, waiting=0)
    with ThreadPoolExecutor(1) as other, ExitStack() as held:

        def seat(*, known: bool = False) -> AbstractContextManager[None]:
            if known:
                other.submit(held.close)  # the seat is free a moment later
            return seats.seat(known=known)

        monkeypatch.setattr(hashing, "seat", seat)
        other.submit(held.enter_context, seats.seat()).result(20)
        assert refusal(machine.call("login", elsewhere)) == (503, "TryAgainLater")
        assert machine.call("login", here).status_code == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_no_more_than_guesses_one_after_another(
    login: Callable[..., Any], credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "seat", Hashing(1, waiting=20).seat)

    def guess(number: int) -> tuple[int, str]:
        body = credentials | {"password": f"guess-{number}"}
        return refusal(Client().post("/edge/v1/login", body, content_type="application/json"))

    answers = Counter(at_once(*(partial(guess, number) for number in range(20))))
    assert answers == {(401, "LogonRefused"): 3, (429, "LockedOut"): 17}
