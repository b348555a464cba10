"""Users of the console by the pages: invited, changed, disabled, signed out; and never without an administrator."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client
from django.urls import reverse

from console.core import audit, password_links, people
from console.core.errors import Conflict
from console.core.log_filter import WithoutTokens
from console.models import AuditRow, LogIn, PasswordLink, User
from tests.at_once import at_once
from tests.console.factories import PASSWORD, UserFactory
from tests.responses import words

pytestmark = pytest.mark.django_db
LIST, ADD = reverse("users:list"), reverse("users:add")
LOG_IN = reverse("login")
NEW = "an entirely new pass phrase"
ANNA = {"username": "anna", "email": "anna@corp.example", "role": "operator", "way": "mail"}
ACTOR = audit.System("test")


def url(name: str, user: User) -> str:
    return reverse(f"users:{name}", args=[user.pk])


def logged_in(username: str, password: str = PASSWORD) -> Client:
    client = Client()
    client.post(LOG_IN, {"username": username, "password": password}, REMOTE_ADDR="203.0.113.9")
    return client


def is_in(client: Client) -> bool:
    return client.get("/gateways/").status_code == 200


def newest() -> AuditRow:
    row = AuditRow.objects.order_by("-pk").first()
    assert row is not None
    return row


# --- Invited ----------------------------------------------------------------------------------------------------------


def test_a_user_is_invited_by_mail_and_sets_a_password_that_nobody_else_knows(
    administrator_client: Client,
) -> None:
    answer = administrator_client.post(ADD, ANNA, follow=True)
    assert "anna was added. A link to set a password was mailed to anna@corp.example." in answer.text
    assert "Invited" in answer.text
    (sent,) = mail.outbox
    (link,) = re.findall(r"http://testserver(/password-link/\S+)", str(sent.body))
    assert sent.to == ["anna@corp.example"] and link not in answer.text
    assert not is_in(logged_in("anna", ""))
    anna = Client()
    page = anna.get(link)
    assert page.status_code == 200 and "anna" in page.text
    assert page["Referrer-Policy"] == "strict-origin" and "no-store" in page["Cache-Control"]
    answer = anna.post(link, {"password": NEW, "again": NEW}, follow=True)
    assert answer.redirect_chain[-1][0] == LOG_IN and "Your password was set." in answer.text
    assert is_in(logged_in("anna", NEW)) and User.objects.get(username="anna").role == "operator"
    verbs = list(AuditRow.objects.order_by("pk").values_list("actor", "verb"))
    assert verbs[-4:] == [
        ("administrator", "user.create"),
        ("administrator", "user.link_create"),
        ("anna", "user.link_use"),
        ("anna", "user.log_in"),
    ]


def test_a_link_works_once(administrator_client: Client, viewer: User) -> None:
    token = password_links.link_create(user=viewer, actor=ACTOR)
    link = reverse("password_link", args=[token])
    assert Client().post(link, {"password": NEW, "again": NEW}).status_code == 302
    for answer in (Client().get(link), Client().post(link, {"password": PASSWORD, "again": PASSWORD})):
        assert answer.status_code == 404 and "no longer holds" in answer.text
    assert is_in(logged_in("viewer", NEW)) and not PasswordLink.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_link_at_once_one_sets_the_password(viewer: User) -> None:
    token = password_links.link_create(user=viewer, actor=ACTOR)
    words_ = ["first pass phrase of two", "second pass phrase of two"]
    done = at_once(
        *[lambda word=word: password_links.link_use(token=token, password=word) for word in words_]
    )
    assert sorted(type(each).__name__ for each in done) == ["NotFound", "User"]
    winner = words_[0] if isinstance(done[0], User) else words_[1]
    viewer.refresh_from_db()
    assert viewer.check_password(winner)


def test_a_link_that_is_only_looked_at_is_not_used_up(viewer: User) -> None:
    """Programs that look at mails open each link."""
    link = reverse("password_link", args=[password_links.link_create(user=viewer, actor=ACTOR)])
    for _ in range(3):
        assert Client().get(link).status_code == 200
    assert Client().post(link, {"password": NEW, "again": NEW}).status_code == 302


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"password": NEW, "again": NEW + "!"}, "The two passwords differ."),
        ({"password": "sh0rt", "again": "sh0rt"}, "too short"),
        ({"password": "password1234", "again": "password1234"}, "too common"),
        ({"password": "viewer@example.org", "again": "viewer@example.org"}, "too similar"),
        ({"password": "x" * 201, "again": "x" * 201}, "at most 200 characters"),
        ({"password": NEW, "again": ""}, "Type the new password into both fields."),
    ],
)
def test_a_bad_password_is_refused_and_the_link_goes_on(
    viewer: User, typed: dict[str, str], sentence: str
) -> None:
    link = reverse("password_link", args=[password_links.link_create(user=viewer, actor=ACTOR)])
    answer = Client().post(link, typed)
    assert answer.status_code == 422 and sentence in answer.text and typed["password"] not in answer.text
    assert Client().post(link, {"password": NEW, "again": NEW}).status_code == 302


def ended(viewer: User, by: str) -> None:
    if by == "time":
        PasswordLink.objects.update(expires_at="2020-01-01T00:00Z")
    elif by == "another link":
        password_links.link_create(user=viewer, actor=ACTOR)
    elif by == "disabled":
        people.user_update(user=viewer, is_active=False, actor=ACTOR)
    elif by == "address":
        people.user_update(user=viewer, email="elsewhere@corp.example", actor=ACTOR)
    elif by == "password":
        people.user_password_set(user=viewer, password="set by somebody else", actor=ACTOR)
    else:
        people.user_delete(user=viewer, actor=ACTOR)


@pytest.mark.parametrize("by", ["time", "another link", "disabled", "address", "password", "deleted"])
def test_a_link_ends(viewer: User, by: str) -> None:
    link = reverse("password_link", args=[password_links.link_create(user=viewer, actor=ACTOR)])
    ended(viewer, by)
    before = AuditRow.objects.count()
    assert Client().get(link).status_code == 404
    assert Client().post(link, {"password": NEW, "again": NEW}).status_code == 404
    assert AuditRow.objects.count() == before
    if by == "disabled":
        people.user_switch(user=viewer, enabled=True, actor=ACTOR)
        assert Client().get(link).status_code == 404, "enabled again, the link stays gone"


def test_a_password_set_by_a_link_ends_log_ins(viewer: User, viewer_client: Client) -> None:
    token = password_links.link_create(user=viewer, actor=ACTOR)
    Client().post(reverse("password_link", args=[token]), {"password": NEW, "again": NEW})
    assert not is_in(viewer_client) and not LogIn.objects.filter(user=viewer).exists()


def test_what_the_table_holds_is_no_link(viewer: User) -> None:
    token = password_links.link_create(user=viewer, actor=ACTOR)
    (row,) = PasswordLink.objects.values()
    assert token not in str(row)
    assert Client().get(reverse("password_link", args=[row["digest"]])).status_code == 404


def test_no_log_holds_a_token(viewer: User, caplog: pytest.LogCaptureFixture) -> None:
    """Django names the path of what was refused; the handler of the settings takes the token out."""
    token = password_links.link_create(user=viewer, actor=ACTOR)
    link = reverse("password_link", args=[token])
    handlers: Any = django_settings.LOGGING["handlers"]
    assert "without tokens" in handlers["stderr"]["filters"]
    caplog.handler.addFilter(WithoutTokens())
    assert Client().post(link, {"password": "x", "again": "y"}).status_code == 422
    assert Client(enforce_csrf_checks=True).post(link, {"password": NEW, "again": NEW}).status_code == 403
    assert "/password-link/…" in caplog.text and token not in caplog.text


def test_a_mail_that_cannot_be_sent_is_told_and_the_link_is_shown_once(
    administrator_client: Client, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = administrator_client.post(ADD, ANNA)
    said = words(answer)
    assert "The mail to anna@corp.example could not be sent (Connection refused)." in said
    (link,) = re.findall(r"http://testserver(/password-link/[\w-]+/)", said)
    assert Client().post(link, {"password": NEW, "again": NEW}).status_code == 302
    assert link not in administrator_client.get(LIST).text


def test_a_link_is_shown_instead_of_mailed(administrator_client: Client, viewer: User) -> None:
    answer = administrator_client.post(url("link", viewer), {"way": "here"})
    (link,) = re.findall(r"http://testserver(/password-link/[\w-]+/)", answer.text)
    assert not mail.outbox and is_in(logged_in("viewer")), "the present password holds"
    assert Client().get(link).status_code == 200
    rows = "".join(f"{row.before}{row.after}" for row in AuditRow.objects.all())
    assert link.split("/")[2] not in rows


def test_a_link_for_a_user_who_is_disabled_or_has_no_address_is_refused(
    administrator_client: Client, viewer: User
) -> None:
    User.objects.filter(pk=viewer.pk).update(email="")
    answer = administrator_client.post(url("link", viewer), {"way": "mail"})
    assert answer.status_code == 422 and "has no e-mail address" in answer.text
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    answer = administrator_client.post(url("link", viewer), {"way": "here"})
    assert answer.status_code == 422 and "viewer is disabled. Enable the user first." in answer.text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"username": ""}, "Give a user name"),
        ({"username": "an na"}, "valid username"),
        ({"username": "administrator"}, "already exists"),
        ({"email": ""}, "Give an e-mail address to which the link is mailed."),
        ({"email": "anna"}, "valid email"),
        ({"role": "king"}, "Role must be viewer, operator or administrator."),
        ({"way": ""}, "Choose one of the ways."),
    ],
)
def test_bad_input_is_named_beside_its_field(
    administrator_client: Client, wrong: dict[str, str], sentence: str
) -> None:
    answer = administrator_client.post(ADD, ANNA | wrong)
    assert answer.status_code == 422 and sentence in answer.text
    assert User.objects.count() == 1 and not mail.outbox and not PasswordLink.objects.exists()


# --- Changed, disabled, signed out, deleted ---------------------------------------------------------------------------


def test_the_list_says_who_is_who(administrator_client: Client, viewer: User) -> None:
    logged_in("viewer")
    people.user_create(username="bert", password=None, role="operator", actor=ACTOR)
    text = words(administrator_client.get(LIST))
    assert all(each in text for each in ("viewer@example.org", "bert", "Invited", "Administrator"))
    for query, shown, hidden in (
        ("state=invited", "bert", "viewer@"),
        ("role=viewer", "viewer@", "bert"),
        ("q=bert", "bert", "viewer@"),
        ("state=disabled", "Nothing matches", "bert"),
    ):
        text = administrator_client.get(
            f"{LIST}?{query}", headers={"HX-Request": "true", "HX-Target": "table"}
        ).text
        assert shown in text and hidden not in text, query


def test_the_number_of_queries_does_not_grow(
    administrator_client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        UserFactory(username=f"many{number}")
    with django_assert_max_num_queries(8):
        assert administrator_client.get(LIST).status_code == 200


def test_a_user_is_changed_with_a_row_of_what_changed(administrator_client: Client, viewer: User) -> None:
    form = {"email": viewer.email, "role": "operator", "is_staff": "on"}
    answer = administrator_client.post(url("edit", viewer), form, follow=True)
    assert "viewer was changed." in answer.text
    assert newest().after == {"role": "operator", "is_staff": True}


def test_a_disabled_user_is_out_at_once_and_comes_back_by_a_log_in_alone(
    administrator_client: Client, viewer: User
) -> None:
    client = logged_in("viewer")
    assert is_in(client)
    assert "may log in again" not in administrator_client.get(url("confirm_disable", viewer)).text
    administrator_client.post(url("disable", viewer))
    assert not is_in(client) and not is_in(logged_in("viewer"))
    assert administrator_client.post(url("disable", viewer)).status_code == 409
    administrator_client.post(url("enable", viewer))
    assert not is_in(client) and is_in(logged_in("viewer"))


def test_a_user_is_signed_out_everywhere(administrator_client: Client, viewer: User) -> None:
    clients = [logged_in("viewer") for _ in range(3)]
    answer = administrator_client.post(url("sign_out", viewer), follow=True)
    assert "3 log-ins of viewer ended." in answer.text
    assert not any(is_in(client) for client in clients) and is_in(administrator_client)
    assert (newest().verb, newest().before) == ("user.sign_out", {"log_ins": 3})


def test_who_signs_out_himself_everywhere_stays_here(
    administrator: User, administrator_client: Client
) -> None:
    other = logged_in("administrator")
    administrator_client.post(url("sign_out", administrator))
    assert is_in(administrator_client) and not is_in(other)


def test_a_user_is_deleted_with_log_ins_and_links(administrator_client: Client, viewer: User) -> None:
    password_links.link_create(user=viewer, actor=ACTOR)
    client = logged_in("viewer")
    assert "was deleted" in administrator_client.post(url("delete", viewer), follow=True).text
    assert not is_in(client) and not User.objects.filter(pk=viewer.pk).exists()
    assert not LogIn.objects.filter(user_id=viewer.pk).exists()


@pytest.mark.parametrize("act", ["edit", "disable", "delete"])
def test_the_last_administrator_stays(administrator: User, administrator_client: Client, act: str) -> None:
    """Neither a user who was only invited nor one who is disabled is another one."""
    people.user_create(username="invited", password=None, role="administrator", actor=ACTOR)
    UserFactory(role="administrator", is_active=False)
    body = {"email": administrator.email, "role": "operator"} if act == "edit" else {}
    answer = administrator_client.post(url(act, administrator), body)
    assert answer.status_code == (422 if act == "edit" else 409)
    assert "administrator is the last user who can manage users." in answer.text
    administrator.refresh_from_db()
    assert administrator.role == "administrator" and administrator.is_active
    UserFactory(role="administrator")
    assert administrator_client.post(url(act, administrator), body).status_code == 302


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_of_two_who_demote_one_another_one_stays(change: dict[str, Any]) -> None:
    two = [UserFactory(role="administrator") for _ in range(2)]
    said = at_once(
        lambda: people.user_update(user=two[0], actor=two[1], **change),
        lambda: people.user_update(user=two[1], actor=two[0], **change),
    )
    assert [type(each) for each in said if not isinstance(each, User)] == [Conflict]
    assert User.objects.filter(role="administrator", is_active=True).count() == 1


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_others_see_no_users_and_no_link_to_them(role: str, viewer: User, client: Client) -> None:
    client.force_login(UserFactory(role=role), backend="django.contrib.auth.backends.ModelBackend")
    assert 'href="/users/"' not in client.get("/profile/").text
    for name in ("edit", "link", "confirm_disable", "confirm_sign_out", "confirm_delete"):
        assert client.get(url(name, viewer)).status_code == 403
    for name in ("edit", "link", "disable", "enable", "sign_out", "delete"):
        assert client.post(url(name, viewer), {"role": "administrator"}).status_code == 403
