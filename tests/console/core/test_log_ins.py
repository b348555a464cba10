"""Log-ins, log-outs, failures and lock-outs of the console's users in the audit; lock-outs are seen and lifted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from console.core import log_ins
from console.core.audit_chain import Walk
from console.models import AuditRow, FailedLogIns, User
from tests.console.factories import PASSWORD
from tests.responses import Response

pytestmark = pytest.mark.django_db
LOG_IN = reverse("login")
LIMIT = django_settings.AXES_FAILURE_LIMIT


def log_in(
    username: str = "viewer", password: str = PASSWORD, address: str = "203.0.113.9", door: str = LOG_IN
) -> Response:
    client = Client()
    return client.post(door, {"username": username, "password": password}, REMOTE_ADDR=address)


def tell() -> list[AuditRow]:
    log_ins.tell(timezone.now() + timedelta(minutes=1))
    return list(AuditRow.objects.order_by("pk"))


def test_a_log_in_and_a_log_out_are_rows(viewer: User) -> None:
    client = Client()
    client.post(LOG_IN, {"username": "viewer", "password": PASSWORD}, REMOTE_ADDR="203.0.113.9")
    client.post(reverse("logout"), REMOTE_ADDR="203.0.113.10")
    assert [(row.verb, row.actor, row.target_name, row.source) for row in tell()] == [
        ("user.log_in", "viewer", "viewer", "203.0.113.9"),
        ("user.log_out", "viewer", "viewer", "203.0.113.10"),
    ]


def test_the_log_in_of_django_admin_is_a_row_too(administrator: User) -> None:
    administrator.is_staff = True
    administrator.save()
    assert log_in("administrator", door="/admin/login/").status_code == 302
    assert [row.verb for row in tell()] == ["user.log_in"]


def test_failures_of_a_minute_from_one_address_are_one_row(viewer: User) -> None:
    names = ["viewer", "viewer", "nobody", "root"]
    for name in names:
        assert log_in(name, "wrong").status_code == 200
    log_in("viewer", "wrong", "203.0.113.10")
    assert not AuditRow.objects.exists()
    first, second = tell()
    assert (first.verb, first.actor, first.source) == ("user.log_in_failed", "log-in", "203.0.113.9")
    assert first.after["failures"] == 4 and first.after["user_names"] == ["viewer", "nobody", "root"]
    assert (second.source, second.after["failures"]) == ("203.0.113.10", 1)
    assert len(tell()) == 2, "told once"
    assert "wrong" not in str(list(AuditRow.objects.values()))


def test_a_minute_that_is_not_over_waits(viewer: User) -> None:
    log_in(password="wrong")
    assert log_ins.tell(FailedLogIns.objects.get().minute + timedelta(seconds=59)) == 0


def test_names_as_typed_are_bounded_and_cleaned() -> None:
    for name in ("a" * 150, "line\nbreak\x1b[31m\u202e", "<script>alert(1)</script>", "6", "7", "8"):
        log_in(name, "wrong")
    (row,) = [row for row in tell() if row.verb == "user.log_in_failed"]
    names = row.after["user_names"]
    assert len(names) == log_ins.MOST_NAMES and row.after["failures"] == 6
    assert names[0] == "a" * 59 + "…" and names[1] == "line\ufffdbreak\ufffd[31m\ufffd"
    assert Walk().to_the_end().problem == ""


def test_an_attacker_fills_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_ins, "MOST_ADDRESSES", 3)
    for number in range(10):
        log_ins.note("user", f"name{number}", failures=1, address=f"203.0.113.{number}")
    for number in range(10):
        log_ins.note("user", "name", failures=1, address=f"2001:db8::{number}")
    rows = tell()
    assert len(rows) <= 8 and sum(row.after["failures"] for row in rows) == 20
    assert "many addresses" in {row.source for row in rows}


def test_addresses_of_one_ipv6_network_are_one() -> None:
    for number in range(5):
        log_ins.note("user", "name", failures=1, address=f"2001:db8:0:1::{number:x}")
    (row,) = tell()
    assert (row.source, row.after["failures"]) == ("2001:db8:0:1::/64", 5)


def test_a_lock_out_is_a_row_once_and_named(viewer: User) -> None:
    for _ in range(LIMIT + 3):
        answer = log_in(password="wrong")
    assert answer.status_code == 429
    failed, locked = tell()
    assert (failed.verb, failed.after["failures"]) == ("user.log_in_failed", LIMIT + 3)
    assert (locked.verb, locked.source, locked.target_name) == ("user.lock_out", "203.0.113.9", "viewer")
    assert locked.after["locked_out"] == 1 and locked.after["user_names"] == ["viewer"]


def test_a_lock_out_is_seen_and_lifted(viewer: User, administrator_client: Client) -> None:
    page = reverse("roaming:lock_outs")
    assert "Users of the console" not in administrator_client.get(page).text
    for _ in range(LIMIT):
        log_in(password="wrong")
        log_in("my-secret-typed-here", "wrong")
    assert log_in().status_code == 429 != log_in(address="203.0.113.10").status_code
    shown = administrator_client.get(page).text
    assert "203.0.113.9" in shown and ">viewer<" in shown
    assert "A name that does not exist" in shown and "my-secret-typed-here" not in shown
    attempt = AccessAttempt.objects.get(username="viewer")
    url = reverse("user_lock_out_lift", args=[attempt.pk])
    answer = administrator_client.post(url, {"next": page}, follow=True)
    assert answer.redirect_chain[-1][0] == page and "The lock-out of viewer was lifted." in answer.text
    assert log_in().status_code == 302
    row = AuditRow.objects.get(verb="user.lift")
    assert (row.actor, row.target_name, row.before) == ("administrator", "viewer", {"address": "203.0.113.9"})
    assert administrator_client.post(url).status_code == 404


def test_operators_see_lock_outs_of_users_and_do_not_lift_them(viewer: User, operator_client: Client) -> None:
    for _ in range(LIMIT):
        log_in(password="wrong")
    page = operator_client.get(reverse("roaming:lock_outs")).text
    assert "This needs the role of administrator." in page
    attempt = AccessAttempt.objects.get()
    assert operator_client.post(reverse("user_lock_out_lift", args=[attempt.pk])).status_code == 403


def test_a_lock_out_that_is_over_is_not_shown(viewer: User, administrator_client: Client) -> None:
    for _ in range(LIMIT):
        log_in(password="wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(hours=1))
    assert log_ins.lock_outs() == []


def test_behind_a_trusted_proxy_the_client_is_counted_and_not_the_proxy(
    viewer: User, settings: Settings
) -> None:
    settings.TRUSTED_PROXY = True
    for _ in range(LIMIT):
        Client(headers={"x-forwarded-for": "203.0.113.9"}).post(
            LOG_IN, {"username": "viewer", "password": "wrong"}
        )
    right = {"username": "viewer", "password": PASSWORD}
    assert Client(headers={"x-forwarded-for": "203.0.113.9"}).post(LOG_IN, right).status_code == 429
    assert Client(headers={"x-forwarded-for": "203.0.113.10"}).post(LOG_IN, right).status_code == 302
