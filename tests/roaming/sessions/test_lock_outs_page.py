"""Page Lock-outs: who is locked out or slowed, from where, until when; and lifted by a click."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from console.core import log_ins
from console.models import AuditRow
from roaming.models import ClientAccount, LogonFailures
from tests.console.machine import Machine
from tests.queries import queries
from tests.roaming.answers import refusal
from tests.roaming.factories import locked_out

pytestmark = pytest.mark.django_db
URL = reverse("roaming:lock_outs")


@pytest.fixture(autouse=True)
def two_failures(settings: Settings) -> None:
    settings.LOGON_FAILURE_LIMIT = 2


def guess(machine: Machine, credentials: dict[str, Any], address: str, password: str) -> Any:
    return machine.call("login", credentials | {"public_address": address, "password": password})


def test_who_from_where_until_when(
    viewer_client: Client, machine: Machine, credentials: dict[str, Any], account: ClientAccount
) -> None:
    assert "Nobody is locked out" in viewer_client.get(URL).text
    for password in ("one", "two"):
        guess(machine, credentials, "203.0.113.9", password)
    page = viewer_client.get(URL).text
    row = LogonFailures.objects.get(kind="pair")
    assert account.username in page and "203.0.113.9" in page and "Locked out" in page
    assert row.until is not None and row.until.strftime("%Y-%m-%d %H:%M:%S") in page
    assert "This needs the role of operator." in page and "Lift</button>" not in page


def test_slowed_addresses_and_names_that_do_not_exist_are_seen(
    viewer_client: Client, machine: Machine, credentials: dict[str, Any]
) -> None:
    for number in range(10):
        guess(machine, credentials | {"username": f"guess{number:04}"}, "203.0.113.9", "one")
    assert "Slowed, whoever logs on" in viewer_client.get(URL).text
    for password in ("one", "two"):
        guess(machine, credentials | {"username": "my-secret-typed-here"}, "203.0.113.10", password)
    page = viewer_client.get(URL).text
    assert "A name that does not exist" in page and "my-secret-typed-here" not in page


def test_a_lock_out_is_lifted(
    operator_client: Client, machine: Machine, credentials: dict[str, Any], account: ClientAccount
) -> None:
    for password in ("one", "two"):
        guess(machine, credentials, "203.0.113.9", password)
    right = credentials["password"]
    assert refusal(guess(machine, credentials, "203.0.113.9", right)) == (429, "LockedOut")
    row = LogonFailures.objects.get(kind="pair")
    answer = operator_client.post(reverse("roaming:lock_out_lift", args=[row.pk]), follow=True)
    assert f"The lock-out of {account} from 203.0.113.9 was lifted." in answer.text
    assert guess(machine, credentials, "203.0.113.9", right).status_code == 200
    audited = AuditRow.objects.get(verb="logon.lift")
    assert audited.before == {"address": "203.0.113.9", "kind": "pair"}
    again = operator_client.post(reverse("roaming:lock_out_lift", args=[row.pk]))
    assert again.status_code == 404, "two people at once lift it once"


def test_a_lock_out_that_begins_is_one_row_of_the_audit(
    machine: Machine, credentials: dict[str, Any], account: ClientAccount
) -> None:
    for password in ("one", "two", "three", "four"):
        guess(machine, credentials, "203.0.113.9", password)
    for password in ("one", "two"):
        guess(machine, credentials | {"username": "my-secret-typed-here"}, "203.0.113.9", password)
    assert log_ins.tell(timezone.now() + timedelta(minutes=1)) == 1
    row = AuditRow.objects.get(verb="account.lock_out")
    assert (row.actor, row.source, row.after["locked_out"]) == ("log-on", "203.0.113.9", 2)
    assert row.after["user_names"] == [account.username, "a name that does not exist"]


def test_a_lock_out_that_is_over_is_not_shown(viewer_client: Client, account: ClientAccount) -> None:
    locked_out(account, "203.0.113.9", hours=-1)
    assert "Nobody is locked out" in viewer_client.get(URL).text


def test_as_many_queries_for_many_as_for_few(operator_client: Client, account: ClientAccount) -> None:
    for number in range(12):
        locked_out(account, f"203.0.113.{number}")
    assert len(queries(operator_client.get, URL)) <= 8
    assert operator_client.get(URL).text.count("Lift</button>") == 12
