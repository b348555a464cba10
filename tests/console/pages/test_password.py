"""Changing one's own password."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.core import log_ins
from console.models import AuditRow, User
from tests.console.factories import PASSWORD
from tests.responses import Response

pytestmark = pytest.mark.django_db
NEW = "an entirely new pass phrase"


def change(client: Client, old: str = PASSWORD, new: str = NEW, again: str = NEW) -> Response:
    return client.post(
        "/password/", {"old_password": old, "new_password1": new, "new_password2": again}, follow=True
    )


def test_the_new_password_logs_on_and_the_session_lives_on(viewer_client: Client, viewer: User) -> None:
    assert "Your password was changed." in change(viewer_client).text
    assert viewer_client.get("/").status_code == 200
    other = Client()
    other.post("/log-in/", {"username": viewer.username, "password": NEW})
    assert other.get("/").status_code == 200
    assert AuditRow.objects.get(verb="user.password_change").actor == viewer.username


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"old": "wrong"}, "was entered incorrectly"),
        ({"again": "something else entirely"}, "didn’t match"),
        ({"new": "short", "again": "short"}, "too short"),
    ],
)
def test_refusals_are_sentences_and_change_nothing(
    viewer_client: Client, viewer: User, values: dict[str, str], sentence: str
) -> None:
    assert sentence in change(viewer_client, **values).text
    viewer.refresh_from_db()
    assert viewer.check_password(PASSWORD)


def test_no_password_reaches_the_audit_trail(viewer_client: Client) -> None:
    change(viewer_client)
    row = AuditRow.objects.get(verb="user.password_change")
    assert NEW not in f"{row.before} {row.after}"


@pytest.mark.parametrize("page", ["password_change", "password_change_done"])
def test_django_admin_leads_here_and_changes_no_password(
    superuser_client: Client, administrator: User, page: str
) -> None:
    url = reverse(f"admin:{page}")
    assert superuser_client.get(url)["Location"] == "/password/"
    typed = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert superuser_client.post(url, typed).status_code == 405
    administrator.refresh_from_db()
    assert administrator.check_password(PASSWORD)
    assert f'href="{reverse("admin:password_change")}"' in superuser_client.get("/admin/").text


def test_wrong_old_passwords_lock_out_as_failed_log_ins_do_and_are_in_the_audit(
    viewer_client: Client, viewer: User
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert change(viewer_client, old="wrong").status_code == 422
    assert change(viewer_client, old="wrong").status_code == 429
    assert change(viewer_client).status_code == 429
    viewer.refresh_from_db()
    assert viewer.check_password(PASSWORD)
    log_in = {"username": viewer.username, "password": PASSWORD}
    assert Client().post("/log-in/", log_in).status_code == 429
    log_ins.tell(timezone.now() + timedelta(minutes=1))
    failed = AuditRow.objects.get(verb="user.log_in_failed").after
    assert failed["user_names"] == [viewer.username] and failed["failures"] >= settings.AXES_FAILURE_LIMIT
    assert AuditRow.objects.get(verb="user.lock_out").after["user_names"] == [viewer.username]


def test_a_new_password_that_is_refused_counts_as_no_failure(viewer_client: Client) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        assert change(viewer_client, new="short", again="short").status_code == 422
    assert "Your password was changed." in change(viewer_client).text
