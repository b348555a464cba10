"""Modifying an account: e-mail and bandwidth."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.machines import config
from console.models import AuditRow
from roaming.models import ClientAccount
from tests.roaming.answers import HTMX_PANEL

pytestmark = pytest.mark.django_db


def url(account: ClientAccount) -> str:
    return reverse("roaming:account_edit", args=[account.pk])


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
def test_e_mail_and_bandwidth_change_and_gateways_hear_of_it(
    operator_client: Client, account: ClientAccount, headers: dict[str, Any]
) -> None:
    before = config.current().version
    data = {"email": "new@example.org", "bandwidth_kbps": 512}
    answer = operator_client.post(url(account), data, headers=headers)
    back = reverse("roaming:accounts", args=[account.instance_id])
    assert back in (answer["HX-Location"] if headers else answer["Location"])
    account.refresh_from_db()
    assert (account.email, account.bandwidth_kbps) == ("new@example.org", 512)
    assert config.current().version == before + 1
    row = AuditRow.objects.get(verb="account.update")
    assert row.before["bandwidth_kbps"] == 2000
    assert row.after["bandwidth_kbps"] == 512


def test_the_panel_shows_what_holds_now(operator_client: Client, account: ClientAccount) -> None:
    page = operator_client.get(url(account)).text
    assert account.username in page
    assert f'value="{account.email}"' in page
    assert 'value="2000"' in page


def test_saving_without_a_change_writes_nothing(operator_client: Client, account: ClientAccount) -> None:
    before = config.current().version
    operator_client.post(url(account), {"email": account.email, "bandwidth_kbps": 2000})
    assert not AuditRow.objects.filter(verb="account.update").exists()
    assert config.current().version == before


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"bandwidth_kbps": 0}, "Bandwidth must be 1–20,000 kbit/s."),
        ({"bandwidth_kbps": 20001}, "Bandwidth must be 1–20,000 kbit/s."),
        ({"bandwidth_kbps": "much"}, "Enter a whole number."),
        ({"email": ""}, "This field is required."),
        ({"email": "nobody"}, "E-mail must be 2–64 characters"),
        ({"email": "a@b\r\nBcc: c@d"}, "E-mail must be 2–64 characters"),
    ],
)
def test_a_bad_field_is_named(
    operator_client: Client, account: ClientAccount, data: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post(url(account), {"email": account.email, "bandwidth_kbps": 2000} | data)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert not AuditRow.objects.filter(verb="account.update").exists()
