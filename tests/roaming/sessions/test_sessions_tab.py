"""The tab Online sessions: what it shows, and the ways to end sessions from it."""

import pytest
from django.test import Client
from django.urls import reverse

from console.models import Gateway
from roaming.models import ClientAccount, Instance
from tests.queries import queries
from tests.responses import words
from tests.roaming.factories import log_on

pytestmark = pytest.mark.django_db


def url(instance: Instance) -> str:
    return reverse("roaming:sessions", args=[instance.pk])


def test_a_session_shows_who_and_from_where(
    operator_client: Client, account: ClientAccount, gateway: Gateway
) -> None:
    session = log_on(account, public_address="203.0.113.7", gateway_id=gateway.pk, kind="proxy")
    page = words(operator_client.get(url(account.instance)))
    for shown in (account.username, session.client_ip, "203.0.113.7", gateway.name, "just now"):
        assert shown in page


def test_one_all_of_an_account_or_all_of_the_instance(
    operator_client: Client, account: ClientAccount
) -> None:
    session = log_on(account)
    page = words(operator_client.get(url(account.instance)))
    assert reverse("roaming:session_confirm_kick", args=[session.pk]) in page
    back = f"?next={url(account.instance)}"
    assert reverse("roaming:account_confirm_kick", args=[account.pk]) + back in page
    assert reverse("roaming:instance_confirm_kick", args=[account.instance_id]) in page


def test_viewers_may_not_and_are_told_why(viewer_client: Client, account: ClientAccount) -> None:
    session = log_on(account)
    page = words(viewer_client.get(url(account.instance)))
    assert reverse("roaming:session_confirm_kick", args=[session.pk]) not in page
    assert "Kick all. This needs the role of operator." in page


def test_with_nobody_on_there_is_nobody_to_kick(operator_client: Client, instance: Instance) -> None:
    page = words(operator_client.get(url(instance)))
    assert "Nobody is logged on" in page
    assert reverse("roaming:instance_confirm_kick", args=[instance.pk]) not in page


def test_a_session_whose_account_is_gone_still_can_be_seen(
    operator_client: Client, account: ClientAccount
) -> None:
    session = log_on(account)
    account.sessions.update(account=None)
    page = words(operator_client.get(url(account.instance)))
    assert session.client_ip in page
    assert f"/sag/accounts/{account.pk}/" not in page


@pytest.mark.parametrize("name", ["accounts", "instance", "sessions", "instance_confirm_delete"])
def test_pages_of_an_instance_stay_within_their_queries(
    operator_client: Client, account: ClientAccount, name: str
) -> None:
    page = reverse(f"roaming:{name}", args=[account.instance_id])
    assert len(queries(operator_client.get, page)) <= 8


@pytest.mark.parametrize(
    "name", ["account_roam", "account_edit", "account_reset_password", "account_confirm_delete"]
)
def test_pages_of_an_account_stay_within_their_queries(
    operator_client: Client, account: ClientAccount, name: str
) -> None:
    page = reverse(f"roaming:{name}", args=[account.pk])
    assert len(queries(operator_client.get, page)) <= 8
