"""Users of the console: administered by services, each change in the audit, and never without an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from console.core import audit, people
from console.core.errors import Conflict, Invalid
from console.models import AuditRow, User
from tests.at_once import at_once
from tests.console.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
ACTOR = audit.System("test")
NEW = "an entirely new pass phrase"
LIST = reverse("admin:console_user_changelist")
ADD = reverse("admin:console_user_add")


@pytest.fixture
def boss(administrator: User) -> User:
    administrator.is_staff = True
    administrator.save()
    return administrator


@pytest.fixture
def door(boss: User, administrator_client: Client) -> Client:
    return administrator_client


def change(user: User) -> str:
    return reverse("admin:console_user_change", args=[user.pk])


def form(user: User, **values: Any) -> dict[str, Any]:
    known = {name: getattr(user, name) for name in people.USER_FIELDS} | values
    return {name: value for name, value in known.items() if value is not False}


def newest() -> AuditRow:
    row = AuditRow.objects.order_by("-pk").first()
    assert row is not None
    return row


def test_a_user_is_made_in_admin_by_the_service(door: Client) -> None:
    body = {
        "username": "anna",
        "email": "a@b.example",
        "role": "operator",
        "is_active": "on",
        "password": NEW,
    }
    assert door.post(ADD, body).status_code == 302
    anna = User.objects.get(username="anna")
    assert anna.role == "operator" and anna.check_password(NEW)
    row = newest()
    assert (row.actor, row.verb, row.target_name, row.after["role"]) == (
        "administrator",
        "user.create",
        "anna",
        "operator",
    )
    assert NEW not in f"{row.before} {row.after}" and "password" not in row.after


@pytest.mark.parametrize("password", ["", "sh0rt", "1234567890123"])
def test_a_bad_password_is_refused_beside_its_field(door: Client, password: str) -> None:
    page = door.post(ADD, {"username": "anna", "role": "viewer", "is_active": "on", "password": password})
    assert page.status_code == 200 and "errorlist" in page.text
    assert password == "" or password not in page.text
    assert not User.objects.filter(username="anna").exists()


def test_a_role_is_changed_with_a_row_of_what_changed(door: Client, viewer: User) -> None:
    assert door.post(change(viewer), form(viewer, role="operator")).status_code == 302
    row = newest()
    assert (row.verb, row.before, row.after) == ("user.update", {"role": "viewer"}, {"role": "operator"})
    viewer.refresh_from_db()
    assert viewer.role == "operator" and viewer.check_password(PASSWORD)


def test_a_deactivated_user_is_out_at_once(door: Client, viewer: User, viewer_client: Client) -> None:
    door.post(change(viewer), form(viewer, is_active=False))
    assert newest().after == {"is_active": False}
    assert viewer_client.get("/gateways/").status_code == 302


def test_a_password_is_set_by_an_administrator_and_ends_log_ins(
    door: Client, viewer: User, viewer_client: Client
) -> None:
    door.post(change(viewer), form(viewer, password=NEW))
    assert (newest().verb, newest().target_name, newest().after) == ("user.password_set", "viewer", {})
    assert viewer_client.get("/gateways/").status_code == 302


def test_the_own_password_set_in_admin_does_not_log_out(door: Client, boss: User) -> None:
    door.post(change(boss), form(boss, password=NEW))
    assert door.get(LIST).status_code == 200


def test_a_user_is_removed_with_a_row_of_what_was(door: Client, viewer: User) -> None:
    url = reverse("admin:console_user_delete", args=[viewer.pk])
    assert door.post(url, {"post": "yes"}).status_code == 302
    assert newest().verb == "user.delete" and newest().before["role"] == "viewer"
    assert not User.objects.filter(username="viewer").exists()


@pytest.mark.parametrize("values", [{"role": "operator"}, {"is_active": False}])
def test_the_last_administrator_stays_and_is_told_why(
    door: Client, boss: User, values: dict[str, Any]
) -> None:
    before = AuditRow.objects.count()
    page = door.post(change(boss), form(boss, **values))
    assert "is the last user who can manage users. Give another active user" in page.text
    boss.refresh_from_db()
    assert people._administers(boss) and AuditRow.objects.count() == before
    UserFactory(role="administrator", is_staff=True)
    assert door.post(change(boss), form(boss, **values)).status_code == 302


def test_the_last_administrator_is_not_removed(door: Client, boss: User) -> None:
    url = reverse("admin:console_user_delete", args=[boss.pk])
    page = door.post(url, {"post": "yes"}, follow=True)
    assert "is the last user who can manage users" in page.text
    page = door.post(
        LIST, {"action": "delete_selected", "_selected_action": boss.pk, "post": "yes"}, follow=True
    )
    assert "is the last user who can manage users" in page.text
    assert User.objects.filter(pk=boss.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_remove_one_another_one_stays() -> None:
    two = [UserFactory(role="administrator", is_staff=True) for _ in range(2)]

    said = at_once(
        lambda: people.user_delete(user=two[0], actor=two[1]),
        lambda: people.user_delete(user=two[1], actor=two[0]),
    )
    assert [type(each) for each in said if each] == [Conflict]
    assert User.objects.filter(is_staff=True).count() == 1


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_staff_below_an_administrator_do_not_see_users(role: str, client: Client, boss: User) -> None:
    client.force_login(
        UserFactory(role=role, is_staff=True), backend="django.contrib.auth.backends.ModelBackend"
    )
    for url in (
        LIST,
        change(boss),
        ADD,
        f"{LIST}?password__regex=^argon2",
        reverse("admin:axes_accesslog_changelist"),
    ):
        assert client.get(url).status_code == 403, url


def test_no_page_of_a_user_holds_the_hash(door: Client, viewer: User) -> None:
    for url in (LIST, change(viewer), reverse("admin:console_user_history", args=[viewer.pk])):
        page = door.get(url)
        assert page.status_code == 200 and viewer.password not in page.text
        assert viewer.password.split("$")[-1][:6] not in page.text


def test_djangos_page_of_a_password_and_groups_are_gone(door: Client, viewer: User) -> None:
    door.post(f"/admin/console/user/{viewer.pk}/password/", {"password1": NEW, "password2": NEW}, follow=True)
    viewer.refresh_from_db()
    assert viewer.check_password(PASSWORD)
    assert door.get("/admin/auth/group/").status_code == 404


def test_a_name_is_not_changed(door: Client, viewer: User) -> None:
    """The audit names people by it."""
    door.post(change(viewer), form(viewer, username="somebody"))
    viewer.refresh_from_db()
    assert viewer.username == "viewer"


def test_values_that_are_not_legal_are_refused_by_the_service(viewer: User) -> None:
    with pytest.raises(Invalid) as refused:
        people.user_update(user=viewer, actor=ACTOR, role="king")
    assert refused.value.field == "role"
    with pytest.raises(Invalid) as refused:
        people.user_create(username="viewer", password=NEW, role="viewer", actor=ACTOR)
    assert refused.value.field == "username"


def test_the_first_administrator_comes_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    call_command("createsuperuser", "--no-input", username="root", email="r@b.example", stdout=StringIO())
    root = User.objects.get(username="root")
    assert root.role == "administrator" and people._administers(root)
    assert (newest().verb, newest().actor, newest().target_name) == ("user.create", "console command", "root")


def test_a_password_is_set_by_command(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    given: Iterator[str] = iter([NEW, NEW])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(given))
    call_command("changepassword", "viewer", stdout=StringIO())
    assert (newest().verb, newest().actor, newest().target_name) == (
        "user.password_set",
        "console command",
        "viewer",
    )
    assert authenticate(Client().request().wsgi_request, username="viewer", password=NEW) == viewer
