"""Log-ins of the console: what the database holds of a session lets nobody in."""

from __future__ import annotations

import importlib
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.core import sessions
from console.models import LogIn
from tests.console.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def logged_in() -> Client:
    user = UserFactory(role="administrator", is_staff=True)
    client = Client()
    answer = client.post(reverse("login"), {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    return client


def key(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def status(cookie: str, path: str = "/gateways/") -> int:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    return client.get(path).status_code


@pytest.mark.parametrize("path", ["/gateways/", "/admin/"])
def test_what_the_table_holds_is_no_cookie(path: str) -> None:
    cookie = key(logged_in())
    (row,) = LogIn.objects.all()
    assert row.session_key == sessions.stored(cookie) != cookie
    assert cookie not in f"{row.session_key} {row.session_data} {row.get_decoded()}"
    assert status(cookie, path) == 200
    assert status(row.session_key, path) == 302


def test_a_log_out_and_a_new_password_end_the_row() -> None:
    client = logged_in()
    before = key(client)
    changed = {"old_password": PASSWORD, "new_password1": PASSWORD + "!", "new_password2": PASSWORD + "!"}
    assert client.post(reverse("password_change"), changed).status_code == 302
    assert key(client) != before and status(before) == 302 and status(key(client)) == 200
    assert LogIn.objects.count() == 1
    client.post(reverse("logout"))
    assert not LogIn.objects.exists()


@pytest.mark.parametrize("cookie", ["x", "x" * 32, "é\0" * 20, "x" * 4000])
def test_a_made_up_cookie_leads_to_the_log_in(cookie: str) -> None:
    assert status(cookie) == 302
    assert not LogIn.objects.exists()


def test_rows_under_plain_keys_go_with_the_migration() -> None:
    Session.objects.create(session_key="k" * 32, session_data="", expire_date=timezone.now())
    importlib.import_module("console.migrations.0008_hashed_sessions").empty(apps, None)
    assert not Session.objects.exists()


def test_expired_log_ins_are_forgotten() -> None:
    cookie = key(logged_in())
    LogIn.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(1))
    assert sessions.forget_expired() == 1
    assert status(cookie) == 200


def test_the_asynchronous_ways_go_by_the_hash_too() -> None:
    """They call the others in threads; Django's store of the database would go by the key itself."""
    for name in ("aload", "aexists", "acreate", "asave", "adelete"):
        assert getattr(sessions.SessionStore, name).__qualname__.startswith("SessionBase.")
