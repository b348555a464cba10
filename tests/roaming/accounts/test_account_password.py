"""Resetting a password: random or custom, on all copies, shown once, mailed; and the mails of new accounts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from console.models import AuditRow
from roaming.accounts.roaming import account_roam
from roaming.models import ClientAccount, Instance
from tests.responses import words
from tests.roaming.answers import HTMX_DIALOG
from tests.roaming.factories import ACTOR, PASSWORD, InstanceFactory, credentials_of, log_on

pytestmark = pytest.mark.django_db
NOBODY_LISTENS = {
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "EMAIL_HOST": "127.0.0.1",
    "EMAIL_PORT": 1,
}


def url(account: ClientAccount) -> str:
    return reverse("roaming:account_reset_password", args=[account.pk])


def shown_password(page: str) -> str:
    return page.split('id="new-password">')[1].split("<", maxsplit=1)[0]


def may_log_on(post: Callable[..., Any], account: ClientAccount, password: str) -> bool:
    return post("login", credentials_of(account, password=password)).status_code == 200


@pytest.fixture
def there(account: ClientAccount) -> ClientAccount:
    destination = InstanceFactory(region_id="ap-southeast-1", name="Singapore-office")
    return account_roam(account=account, destination=destination, actor=ACTOR)


@pytest.fixture
def committed(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., Any]:
    """What is done within is committed at its end: mails go out."""
    return partial(django_capture_on_commit_callbacks, execute=True)


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_a_random_password_is_shown_once_and_works_on_the_copy(
    operator_client: Client,
    post: Callable[..., Any],
    account: ClientAccount,
    there: ClientAccount,
    headers: dict[str, Any],
) -> None:
    answer = operator_client.post(url(account), {"how": "random", "password": "ignored!"}, headers=headers)
    password = shown_password(answer.text)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    for one in (account, there):
        assert may_log_on(post, one, password)
        assert not may_log_on(post, one, PASSWORD)
    assert there.instance_id in answer.text
    assert password not in operator_client.get(url(account)).text
    row = AuditRow.objects.get(verb="account.reset_password")
    assert password not in f"{row.before}{row.after}"


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_a_custom_password_is_set_and_not_shown(
    operator_client: Client, post: Callable[..., Any], account: ClientAccount, headers: dict[str, Any]
) -> None:
    data = {"how": "custom", "password": "Autumn-2026"}
    answer = operator_client.post(url(account), data, headers=headers)
    back = reverse("roaming:accounts", args=[account.instance_id])
    assert back in (answer["HX-Location"] if headers else answer["Location"])
    page = operator_client.get(back).text
    assert f"The password of {account.username} was reset." in page
    assert "Autumn-2026" not in page
    assert may_log_on(post, account, "Autumn-2026")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"how": "custom", "password": ""}, "Give the custom password, or choose a random one."),
        ({"how": "custom", "password": "short"}, "Password must be 8–32 characters"),
        ({"how": "custom", "password": "-begins-wrong"}, "Password must be 8–32 characters"),
        ({"how": "magic"}, "Select a valid choice."),
        ({"how": ""}, "This field is required."),
    ],
)
def test_a_bad_choice_is_said_and_changes_nothing(
    operator_client: Client, account: ClientAccount, data: dict[str, str], sentence: str
) -> None:
    answer = operator_client.post(url(account), data)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert ClientAccount.objects.get(pk=account.pk).password == account.password


def test_the_dialog_says_what_ends_and_where_the_password_holds(
    operator_client: Client, account: ClientAccount, there: ClientAccount
) -> None:
    log_on(there)
    page = words(operator_client.get(url(account)))
    assert "1 session of the account and its copies ends now" in page
    assert f"{there.instance.name} <code>{there.instance_id}</code>" in page
    assert f"mailed to {account.email}" in page


def test_the_new_password_is_mailed_to_its_owner_with_every_instance(
    operator_client: Client, account: ClientAccount, there: ClientAccount, committed: Callable[..., Any]
) -> None:
    with committed():
        answer = operator_client.post(url(account), {"how": "random"})
    password = shown_password(answer.text)
    (message,) = mail.outbox
    assert message.to == [account.email]
    for part in (password, account.username, account.instance_id, there.instance_id, "Singapore"):
        assert part in message.body
    assert password not in message.subject


def test_a_copy_with_another_address_gets_a_mail_of_its_own(
    operator_client: Client, account: ClientAccount, there: ClientAccount, committed: Callable[..., Any]
) -> None:
    ClientAccount.objects.filter(pk=there.pk).update(email="other@example.org")
    with committed():
        operator_client.post(url(account), {"how": "custom", "password": "Autumn-2026"})
    bodies = {message.to[0]: message.body for message in mail.outbox}
    assert set(bodies) == {account.email, "other@example.org"}
    assert there.instance_id not in bodies[account.email]
    assert account.instance_id not in bodies["other@example.org"]


@pytest.mark.parametrize("given", ["", "Autumn-2026"], ids=["generated", "given"])
def test_a_new_account_is_mailed_instance_name_and_password(
    operator_client: Client, instance: Instance, given: str, committed: Callable[..., Any]
) -> None:
    data = {"email": "wu@example.org", "username": "alice.wu", "password": given, "bandwidth_kbps": 2000}
    with committed():
        answer = operator_client.post(reverse("roaming:account_add", args=[instance.pk]), data)
    (message,) = mail.outbox
    assert message.to == ["wu@example.org"]
    assert instance.pk in message.body
    assert "alice.wu" in message.body
    assert (given or shown_password(answer.text)) in message.body


def test_no_mail_goes_out_when_the_change_is_refused(
    operator_client: Client, account: ClientAccount, committed: Callable[..., Any]
) -> None:
    with committed():
        operator_client.post(url(account), {"how": "custom", "password": "short"})
        data = {"email": "x@example.org", "username": account.username, "bandwidth_kbps": 2000}
        operator_client.post(reverse("roaming:account_add", args=[account.instance_id]), data)
    assert not mail.outbox


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_mail_that_cannot_be_sent_is_said_and_loses_nothing(
    operator_client: Client, account: ClientAccount, post: Callable[..., Any], settings: Settings
) -> None:
    for name, value in NOBODY_LISTENS.items():
        setattr(settings, name, value)
    page = operator_client.post(url(account), {"how": "random"}).text
    assert f"The mail to {account.email} could not be sent" in page
    assert may_log_on(post, account, shown_password(page))
    answer = operator_client.post(url(account), {"how": "custom", "password": "Autumn-2026"})
    assert f"The mail to {account.email} could not be sent" in operator_client.get(answer["Location"]).text
    assert may_log_on(post, account, "Autumn-2026")
    data = {"email": "new@example.org", "username": "newcomer", "bandwidth_kbps": 2000}
    page = operator_client.post(reverse("roaming:account_add", args=[account.instance_id]), data).text
    assert "The mail to new@example.org could not be sent" in page
    assert ClientAccount.objects.filter(username="newcomer").exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_mail_that_went_out_is_said(operator_client: Client, account: ClientAccount) -> None:
    page = operator_client.post(url(account), {"how": "random"}).text
    assert f"were mailed to {account.email}" in page
    answer = operator_client.post(url(account), {"how": "custom", "password": "Autumn-2026"})
    page = operator_client.get(answer["Location"]).text
    assert f"User name and password were mailed to {account.email}." in page
    assert len(mail.outbox) == 2
