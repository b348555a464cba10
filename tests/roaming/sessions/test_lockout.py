"""Repeated failures lock out, per user name and per address, for a while."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from console.core import hashing
from console.core.hashing import Hashing
from roaming.models import LogonFailures
from roaming.sessions import lockout
from tests.console.machine import Machine
from tests.responses import Response
from tests.roaming.answers import refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_failures(settings: Settings) -> None:
    settings.LOGON_FAILURE_LIMIT = 3
    settings.LOGON_LOCKOUT = timedelta(minutes=5)


def fail(post: Callable[..., Any], credentials: dict[str, str], times: int = 1, **changes: str) -> Response:
    for _ in range(times):
        response = post("login", credentials | {"password": "wrong-password"} | changes)
    return response


def later(minutes: int) -> None:
    """Move every row into the past, as if time had passed."""
    for row in LogonFailures.objects.all():
        row.first_at -= timedelta(minutes=minutes)
        if row.locked_until:
            row.locked_until -= timedelta(minutes=minutes)
        row.save()


def test_the_right_password_no_longer_helps_after_the_limit(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    assert refusal(fail(post, credentials, 3)) == (401, "LogonRefused")
    response = post("login", credentials)
    assert refusal(response) == (429, "LockedOut")
    assert 0 < int(response["Retry-After"]) <= 300


def test_the_lock_ends_and_counting_begins_anew(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    fail(post, credentials, 3)
    later(minutes=6)
    assert refusal(fail(post, credentials)) == (401, "LogonRefused")
    assert post("login", credentials).status_code == 200


def test_failures_far_apart_do_not_add_up(post: Callable[..., Any], credentials: dict[str, str]) -> None:
    fail(post, credentials, 2)
    later(minutes=6)
    fail(post, credentials, 2)
    assert post("login", credentials).status_code == 200


def test_a_success_forgets_the_failures_of_the_name(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    for _ in range(3):
        fail(post, credentials, 2)
        assert post("login", credentials).status_code == 200


def test_a_name_that_does_not_exist_locks_as_one_that_does(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    fail(post, credentials, 3, username="nobody-here")
    assert refusal(fail(post, credentials, username="NOBODY-here")) == (429, "LockedOut")


def test_others_are_not_locked_out_with_one_name(
    post: Callable[..., Any], credentials: dict[str, str]
) -> None:
    fail(post, credentials, 3, username="nobody-here")
    assert post("login", credentials).status_code == 200


def test_an_address_that_guesses_many_names_is_locked_out(
    machine: Machine, credentials: dict[str, str]
) -> None:
    guesses = 3 * lockout.ADDRESS_FACTOR
    for number in range(guesses):
        body = credentials | {"username": f"guess{number:04}", "public_address": "203.0.113.9"}
        assert machine.call("login", body).status_code == 401
    locked = machine.call("login", credentials | {"public_address": "203.0.113.9"})
    assert refusal(locked) == (429, "LockedOut")
    assert machine.call("login", credentials | {"public_address": "203.0.113.10"}).status_code == 200


def test_a_success_does_not_excuse_the_address(machine: Machine, credentials: dict[str, str]) -> None:
    address = {"public_address": "203.0.113.9"}
    for number in range(3 * lockout.ADDRESS_FACTOR - 1):
        machine.call("login", credentials | address | {"username": f"guess{number:04}"})
    assert machine.call("login", credentials | address).status_code == 200
    machine.call("login", credentials | address | {"username": "one-more"})
    assert machine.call("login", credentials | address).status_code == 429


def test_old_failures_are_forgotten(post: Callable[..., Any], credentials: dict[str, str]) -> None:
    fail(post, credentials, 3)
    assert lockout.forget_old() == 0
    later(minutes=6)
    fail(post, credentials, 1, username="nobody-here")
    # The address row began anew with the last failure; only the first name's row is over.
    assert lockout.forget_old() == 1


def test_a_console_that_checks_as_many_passwords_as_it_can_says_when_to_come_again(
    post: Callable[..., Any], credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seats = Hashing(1, waiting=0)
    monkeypatch.setattr(hashing, "seat", seats.seat)
    with ThreadPoolExecutor(1) as other, ExitStack() as held:
        other.submit(held.enter_context, seats.seat()).result(20)
        for _ in range(4):
            response = post("login", credentials | {"password": "wrong-password"})
            assert refusal(response) == (503, "TryAgainLater") and int(response["Retry-After"]) >= 1
        other.submit(held.close).result(20)
    assert post("login", credentials).status_code == 200, "nobody's password was wrong"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_no_more_than_guesses_one_after_another(
    credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "seat", Hashing(1, waiting=20).seat)
    together = threading.Barrier(20)

    def guess(number: int) -> tuple[int, str]:
        together.wait(20)
        try:
            body = credentials | {"password": f"guess-{number}"}
            return refusal(Client().post("/edge/v1/login", body, content_type="application/json"))
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(guess, range(20)))
    assert answers == {(401, "LogonRefused"): 3, (429, "LockedOut"): 17}
