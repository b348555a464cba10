"""Enable, disable, kick, remove and reset: what each ends, tells the gateways and writes down."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse

from console.machines import config
from console.models import AuditRow, Cutover
from roaming.accounts import roaming
from roaming.accounts import services as accounts
from roaming.models import ClientAccount, UserSession
from tests.responses import Response, words
from tests.roaming.answers import HTMX_DIALOG
from tests.roaming.factories import ACTOR, PASSWORD, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db
CUTS = {"disable": "account_disabled", "kick": "kicked", "delete": "account_deleted"}


def act(client: Client, action: str, account: ClientAccount, **kwargs: Any) -> Response:
    return client.post(reverse(f"roaming:account_{action}", args=[account.pk]), **kwargs)


@pytest.mark.parametrize("action", CUTS)
def test_live_sessions_end_with_the_reason_and_the_gateways_cut(
    operator_client: Client, account: ClientAccount, action: str
) -> None:
    session, bystander = log_on(account), log_on(AccountFactory(instance=account.instance))
    before = config.current().version
    response = act(operator_client, action, account)
    assert response["Location"] == reverse("roaming:accounts", args=[account.instance_id])
    session.refresh_from_db()
    bystander.refresh_from_db()
    assert session.end_reason == CUTS[action]
    assert session.username == account.username
    assert bystander.ended_at is None
    cutover = Cutover.objects.get()
    assert (cutover.version, cutover.target) == (before + 1, account.pk)
    assert AuditRow.objects.filter(verb=f"account.{action}", target=account.pk, actor="operator").count() == 1


@pytest.mark.parametrize("action", CUTS)
def test_htmx_from_the_dialog_goes_back_to_the_list(
    operator_client: Client, account: ClientAccount, action: str
) -> None:
    log_on(account)
    response = act(operator_client, action, account, headers=HTMX_DIALOG)
    assert reverse("roaming:accounts", args=[account.instance_id]) in response["HX-Location"]


def test_disable_and_enable_decide_on_log_on(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount
) -> None:
    act(operator_client, "disable", account)
    assert login().status_code == 403
    act(operator_client, "enable", account)
    assert login().status_code == 200


@pytest.mark.parametrize(
    ("action", "sentence"),
    [("enable", "is enabled already."), ("kick", "is not logged on.")],
)
def test_what_is_not_possible_now_is_said(
    operator_client: Client, account: ClientAccount, action: str, sentence: str
) -> None:
    response = act(operator_client, action, account)
    assert response.status_code == 409
    assert f"{account.username} {sentence}" in response.text
    assert not Cutover.objects.exists()


def test_disabling_twice_is_refused(operator_client: Client, account: ClientAccount) -> None:
    act(operator_client, "disable", account)
    assert act(operator_client, "disable", account).status_code == 409
    assert Cutover.objects.count() == 1


def test_a_kicked_account_may_log_on_again(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount
) -> None:
    log_on(account)
    act(operator_client, "kick", account)
    assert login().status_code == 200


def test_a_removed_account_is_gone(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount
) -> None:
    act(operator_client, "delete", account)
    assert not ClientAccount.objects.filter(pk=account.pk).exists()
    assert login().status_code == 401
    assert act(operator_client, "delete", account).status_code == 404


@pytest.mark.parametrize("action", ["disable", "kick", "delete"])
def test_the_question_says_what_breaks(operator_client: Client, account: ClientAccount, action: str) -> None:
    log_on(account)
    log_on(account)
    url = reverse(f"roaming:account_confirm_{action}", args=[account.pk])
    question = words(operator_client.get(url))
    assert "2 sessions end now, and every connection of them breaks." in question


def test_a_reset_reaches_all_copies_and_ends_their_sessions(account: ClientAccount) -> None:
    destination = InstanceFactory(region_id="ap-southeast-1", cidrs=["10.250.0.0/24"])
    copy = roaming.account_roam(account=account, destination=destination, actor=ACTOR)
    there = log_on(copy)
    password = accounts.account_reset_password(account=account, actor=ACTOR)
    there.refresh_from_db()
    assert there.end_reason == "password_reset"
    hashes = set(ClientAccount.objects.values_list("password", flat=True))
    assert len(hashes) == 1
    stored = hashes.pop()
    assert check_password(password, stored)
    assert not check_password(PASSWORD, stored)
    assert accounts.account_reset_password(account=copy, password="Autumn-2026", actor=ACTOR) is None
    account.refresh_from_db()
    assert check_password("Autumn-2026", account.password)


def test_one_session_can_be_kicked(operator_client: Client, account: ClientAccount) -> None:
    first, second = log_on(account), log_on(account)
    response = operator_client.post(reverse("roaming:session_kick", args=[first.pk]))
    assert response["Location"] == reverse("roaming:sessions", args=[account.instance_id])
    assert list(UserSession.objects.filter(ended_at=None)) == [second]
    assert Cutover.objects.get().target == account.pk
    again = operator_client.post(reverse("roaming:session_kick", args=[first.pk]))
    assert again.status_code == 409
    assert "This session has ended already." in again.text
