"""The own profile, and the history of log-ins: a user sees and ends the own log-ins, and nobody else's."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.core import audit, log_ins, people, sessions
from console.models import AuditRow, LogIn, PushChannel, User
from tests.console.factories import PASSWORD, UserFactory
from tests.responses import words

pytestmark = pytest.mark.django_db
PROFILE, HISTORY = reverse("profile"), reverse("log_ins")
LIMIT = settings.AXES_FAILURE_LIMIT


def logged_in(username: str = "viewer", password: str = PASSWORD, address: str = "203.0.113.9") -> Client:
    client = Client(headers={"user-agent": f"Browser at {address}"})
    client.post(reverse("login"), {"username": username, "password": password}, REMOTE_ADDR=address)
    return client


def is_in(client: Client) -> bool:
    return client.get("/gateways/").status_code == 200


def public_id(client: Client) -> str:
    key = sessions.stored(client.cookies[settings.SESSION_COOKIE_NAME].value)
    return LogIn.objects.get(session_key=key).public_id


def end(log_in: str) -> str:
    return reverse("log_in_end", args=[log_in])


def test_a_user_sees_from_where_the_log_ins_are(viewer: User) -> None:
    here, there = logged_in(), logged_in(address="198.51.100.7")
    logged_in("viewer", "wrong")
    page = words(here.get(PROFILE))
    assert "203.0.113.9" in page and "Browser at 198.51.100.7" in page and page.count("This one") == 1
    assert end(public_id(there)) in page and end(public_id(here)) not in page
    for client in (here, there):
        assert client.cookies[settings.SESSION_COOKIE_NAME].value not in page


def test_one_of_the_own_log_ins_is_ended(viewer: User) -> None:
    here, there = logged_in(), logged_in(address="198.51.100.7")
    answer = here.post(end(public_id(there)), follow=True)
    assert "The log-in ended." in answer.text
    assert is_in(here) and not is_in(there)
    row = AuditRow.objects.get(verb="user.sign_out")
    assert (row.actor, row.target_name, row.before) == ("viewer", "viewer", {"address": "198.51.100.7"})


def test_ending_the_present_one_is_a_log_out(viewer: User) -> None:
    here = logged_in()
    assert here.post(end(public_id(here))).status_code == 302 and not is_in(here)
    assert AuditRow.objects.filter(verb="user.log_out").count() == 1


def test_all_others_are_ended(viewer: User, operator: User) -> None:
    here, there, theirs = logged_in(), logged_in(), logged_in("operator")
    assert "1 other log-in ended." in here.post(reverse("sign_out_elsewhere"), follow=True).text
    assert is_in(here) and not is_in(there) and is_in(theirs)


@pytest.mark.parametrize("role", ["viewer", "administrator"])
def test_a_log_in_of_another_is_not_found(role: str, viewer: User, operator: User) -> None:
    theirs, mine = logged_in("operator"), logged_in(UserFactory(role=role).username)
    assert mine.post(end(public_id(theirs))).status_code == 404
    assert mine.post(end("0" * 16)).status_code == 404 and is_in(theirs)


def test_a_log_in_keeps_its_name_when_the_password_changes_and_others_are_gone(viewer: User) -> None:
    here, there = logged_in(), logged_in()
    before, new = public_id(here), "an entirely new pass phrase"
    typed = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/password/", typed).status_code == 302
    assert public_id(here) == before and not is_in(there)
    assert LogIn.objects.filter(user=viewer).count() == 1


def test_a_session_without_a_user_is_nobodys(viewer: User) -> None:
    client = logged_in()
    client.post(reverse("logout"))
    assert not LogIn.objects.filter(user=viewer).exists()


def test_odd_names_of_browsers_are_kept_harmless(viewer: User) -> None:
    client = Client(headers={"user-agent": "<script>\x1b[31m\u202e" + "x" * 500})
    client.post(reverse("login"), {"username": "viewer", "password": PASSWORD})
    assert len(LogIn.objects.get().agent) == 200
    assert "<script>\ufffd" not in client.get(PROFILE).text


# --- Messages by mail -------------------------------------------------------------------------------------------------


def test_a_user_has_the_messages_mailed_while_the_user_is_one(viewer: User, viewer_client: Client) -> None:
    on, off = reverse("messages_on"), reverse("messages_off")
    assert "also mailed to you" in viewer_client.post(on, follow=True).text
    channel = PushChannel.objects.get()
    assert (channel.owner, channel.destination, channel.enabled) == (viewer, "viewer@example.org", True)
    assert viewer_client.post(on).status_code == 409
    actor = audit.System("test")
    people.user_update(user=viewer, email="elsewhere@corp.example", actor=actor)
    assert PushChannel.objects.get().destination == "elsewhere@corp.example"
    assert viewer_client.post(off).status_code == 302 and not PushChannel.objects.exists()
    viewer_client.post(on)
    people.user_switch(user=viewer, enabled=False, actor=actor)
    assert not PushChannel.objects.exists()


def test_messages_end_with_the_user_and_with_the_address(viewer: User, viewer_client: Client) -> None:
    viewer_client.post(reverse("messages_on"))
    people.user_update(user=viewer, email="", actor=audit.System("test"))
    assert not PushChannel.objects.exists()
    assert "no e-mail address" in viewer_client.get(PROFILE).text
    assert viewer_client.post(reverse("messages_on")).status_code == 400


# --- History ----------------------------------------------------------------------------------------------------------


def happened(viewer: User) -> None:
    """Make a log-in, failures and a lock-out of the viewer; failures of others; and a log-in of another."""
    logged_in(address="203.0.113.1").post(reverse("logout"), REMOTE_ADDR="203.0.113.1")
    for _ in range(LIMIT):
        logged_in("viewer", "wrong", "203.0.113.2")
    logged_in("my-secret-typed-here", "wrong", "203.0.113.2")
    logged_in("viewer2", "wrong", "203.0.113.3")
    UserFactory(username="viewer2")
    logged_in("viewer2", address="203.0.113.4")
    log_ins.tell(timezone.now() + timedelta(minutes=1))


def test_a_user_sees_the_own_history_with_all_outcomes(viewer: User, viewer_client: Client) -> None:
    happened(viewer)
    page = words(viewer_client.get(HISTORY))
    for each in ("Logged in", "Logged out", "Failed", "Locked out", "203.0.113.1", "203.0.113.2"):
        assert each in page, each
    for each in ("203.0.113.3", "203.0.113.4", "viewer2", "my-secret-typed-here", "nobody has"):
        assert each not in page, each
    assert "203.0.113.4" not in viewer_client.get(f"{HISTORY}?whose=all&outcome=in").text


def test_an_administrator_sees_that_of_all_and_no_name_that_nobody_has(
    viewer: User, administrator_client: Client
) -> None:
    happened(viewer)
    page = words(administrator_client.get(HISTORY))
    assert "203.0.113.4" in page and "viewer2" in page and "1 name that nobody has" in page
    assert "my-secret-typed-here" not in page
    own = words(administrator_client.get(f"{HISTORY}?whose=own"))
    assert "203.0.113.4" not in own and "Logged in" in own


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("outcome=failed", "203.0.113.2", "203.0.113.4"),
        ("outcome=in", "203.0.113.4", "203.0.113.3"),
        ("period=7", "203.0.113.4", "2020-"),
        ("q=203.0.113.3", "viewer2", "203.0.113.4"),
        ("outcome=king&period=x", "203.0.113.4", "2020-"),
    ],
)
def test_the_history_is_narrowed(
    viewer: User, administrator_client: Client, query: str, shown: str, hidden: str
) -> None:
    happened(viewer)
    rows = AuditRow.objects.filter(verb="user.log_in", source="")
    assert rows.exists()
    page = administrator_client.get(
        f"{HISTORY}?{query}", headers={"HX-Request": "true", "HX-Target": "table"}
    ).text
    assert shown in page and hidden not in page


def test_the_history_is_had_as_a_file(
    viewer: User, viewer_client: Client, administrator_client: Client
) -> None:
    happened(viewer)
    for client, others in ((viewer_client, False), (administrator_client, True)):
        answer = client.get(reverse("log_ins"), {"format": "csv"})
        rows = list(csv.DictReader(answer.getvalue().decode("utf-8-sig").splitlines()))
        assert {"Failed", "Logged in", "Locked out"} <= {row["outcome"] for row in rows}
        assert ("203.0.113.4" in {row["address"] for row in rows}) is others
        assert "my-secret-typed-here" not in str(rows)
    assert AuditRow.objects.filter(verb="export.take", after__file="log-in-history.csv").count() == 2


def test_the_number_of_queries_does_not_grow(
    administrator_client: Client, viewer: User, django_assert_max_num_queries: object
) -> None:
    for number in range(12):
        logged_in(address=f"203.0.113.{number}")
        log_ins.note("user", f"name{number}", failures=1, address=f"198.51.100.{number}")
    log_ins.tell(timezone.now() + timedelta(minutes=1))
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        assert administrator_client.get(HISTORY).status_code == 200
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        assert administrator_client.get(PROFILE).status_code == 200
