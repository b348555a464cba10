"""Adding a client account."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.models import AuditRow
from roaming.accounts import services as accounts
from roaming.models import ClientAccount, Instance
from tests.roaming.answers import HTMX_PANEL
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db
WISH: dict[str, Any] = {
    "username": "alice-ant",
    "email": "alice@example.org",
    "password": "Winter-2026",
    "bandwidth_kbps": 3000,
}


@pytest.fixture
def instance(db: None) -> Instance:
    return InstanceFactory(account_quota=3, cidrs=["10.9.0.0/24"])


@pytest.fixture
def url(instance: Instance) -> str:
    return reverse("roaming:account_add", args=[instance.pk])


def test_it_is_added_and_can_log_on(
    operator_client: Client, post: Callable[..., Any], instance: Instance, url: str
) -> None:
    response = operator_client.post(url, WISH)
    assert response["Location"] == reverse("roaming:accounts", args=[instance.pk])
    account = ClientAccount.objects.get()
    assert re.fullmatch("user-[0-9a-f]{16}", account.pk)
    assert (account.email, account.bandwidth_kbps, account.static_ip) == ("alice@example.org", 3000, None)
    body = {"instance": instance.pk, "username": "alice-ant", "password": "Winter-2026", "kind": "connect"}
    assert post("login", body).status_code == 200


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
def test_a_generated_password_is_shown_once_and_works(
    operator_client: Client, post: Callable[..., Any], instance: Instance, url: str, headers: dict[str, Any]
) -> None:
    response = operator_client.post(url, WISH | {"password": ""}, headers=headers)
    assert response.status_code == 200
    [password] = re.findall(r'<code id="new-password">([^<]+)</code>', response.text)
    assert "no-store" in response["Cache-Control"]
    body = {"instance": instance.pk, "username": "alice-ant", "password": password, "kind": "connect"}
    assert post("login", body).status_code == 200
    assert password not in operator_client.get(reverse("roaming:accounts", args=[instance.pk])).text
    assert password not in str(response.headers) + str(operator_client.cookies)
    assert not AuditRow.objects.filter(after__icontains=password).exists()


def test_a_blank_user_name_becomes_the_email_address(operator_client: Client, url: str) -> None:
    operator_client.post(url, WISH | {"username": ""})
    assert ClientAccount.objects.get().username == "alice@example.org"


def test_neither_the_password_nor_its_hash_is_audited(operator_client: Client, url: str) -> None:
    operator_client.post(url, WISH)
    row = AuditRow.objects.get(verb="account.create")
    written = str(row.before) + str(row.after)
    assert "Winter" not in written
    assert ClientAccount.objects.get().password not in written


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"username": "short"}, "User name must be 7–33 characters"),
    ({"username": "-dash-first"}, "User name must be 7–33 characters"),
    ({"username": "name with space"}, "User name must be 7–33 characters"),
    ({"username": "аlice-ant"}, "User name must be 7–33 characters"),  # a Cyrillic letter
    ({"email": ""}, "This field is required."),
    ({"email": "no-at-sign"}, "E-mail must be 2–64 characters"),
    ({"username": "", "email": "a@b"}, "User name must be 7–33 characters"),
    ({"password": "short-1"}, "Password must be 8–32 characters"),
    ({"password": "has a space in it"}, "Password must be 8–32 characters"),
    ({"bandwidth_kbps": 0}, "Bandwidth must be 1–20,000 kbit/s."),
    ({"bandwidth_kbps": 20001}, "Bandwidth must be 1–20,000 kbit/s."),
    ({"static_ip": "10.8.0.1"}, "10.8.0.1 is not a usable address of 10.9.0.0/24."),
    ({"static_ip": "10.9.0.255"}, "10.9.0.255 is not a usable address of 10.9.0.0/24."),
    ({"static_ip": "10.9.0.7"}, "10.9.0.7 belongs to fixed-address."),
    ({"username": "FIXED-address"}, "has a client account named FIXED-address already."),
]


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
def test_what_is_wrong_is_said(
    operator_client: Client,
    instance: Instance,
    url: str,
    headers: dict[str, Any],
    subtests: pytest.Subtests,
) -> None:
    AccountFactory(instance=instance, username="fixed-address", static_ip="10.9.0.7")
    for wrong, sentence in WRONG:
        with subtests.test(wrong=wrong):
            response = operator_client.post(url, WISH | wrong, headers=headers)
            assert response.status_code == 422
            assert sentence in response.text
            assert "Winter-2026" not in response.text, "a password is not written back into the page"
            assert ClientAccount.objects.count() == 1


def test_an_address_leased_to_somebody_is_refused(
    operator_client: Client, instance: Instance, url: str
) -> None:
    session = log_on(AccountFactory(instance=instance))
    response = operator_client.post(url, WISH | {"static_ip": session.client_ip})
    assert f"is leased to {session.username} at present" in response.text


def test_the_quota_holds(operator_client: Client, instance: Instance, url: str) -> None:
    for _ in range(3):
        AccountFactory(instance=instance)
    response = operator_client.post(url, WISH)
    assert f"The quota of 3 client accounts of {instance.name} is used up." in response.text


def test_without_a_block_there_are_no_accounts(operator_client: Client) -> None:
    instance = InstanceFactory(cidrs=[])
    response = operator_client.post(reverse("roaming:account_add", args=[instance.pk]), WISH)
    assert "has no private CIDR block yet" in response.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"username": "short"}, "ClientUser.NameInvalid"),
        ({"email": ""}, "ClientUser.EmailEmpty"),
        ({"email": "x"}, "ClientUser.EmailInvalid"),
        ({"bandwidth_kbps": 0}, "ClientUser.BandwidthInvalid"),
        ({"static_ip": "10.8.0.1"}, "ClientUser.InvalidClientIp"),
        ({"static_ip": "nonsense"}, "ClientUser.IpInvalid"),
    ],
)
def test_refusals_carry_the_documented_codes(instance: Instance, changes: dict[str, Any], code: str) -> None:
    from console.core.errors import Invalid

    with pytest.raises(Invalid) as refused:
        accounts.account_create(instance=instance, actor=ACTOR, **WISH | changes)
    assert refused.value.code == code
