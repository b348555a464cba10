"""Enable, disable, kick and remove with all copies of an account: by choice, and only then."""

import pytest
from django.test import Client
from django.urls import reverse

from console.models import AuditRow, Cutover
from roaming.accounts import services as accounts
from roaming.accounts.roaming import account_roam
from roaming.models import ClientAccount, UserSession
from tests.responses import Response, words
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


@pytest.fixture
def copies(account: ClientAccount) -> list[ClientAccount]:
    """Two: one roamed from the account, one from that copy."""
    first = account_roam(
        account=account,
        destination=InstanceFactory(region_id="ap-southeast-1", name="Singapore-office"),
        actor=ACTOR,
    )
    second = account_roam(
        account=first, destination=InstanceFactory(region_id="cn-hongkong", name="Hong-Kong"), actor=ACTOR
    )
    return [first, second]


def act(client: Client, action: str, account: ClientAccount, **data: str) -> Response:
    return client.post(reverse(f"roaming:account_{action}", args=[account.pk]), data)


def enabled() -> set[bool]:
    return set(ClientAccount.objects.values_list("enabled", flat=True))


@pytest.mark.parametrize("action", ["enable", "disable", "kick", "delete"])
def test_the_question_lists_every_copy_with_instance_and_area(
    operator_client: Client, account: ClientAccount, copies: list[ClientAccount], action: str
) -> None:
    log_on(copies[1])
    page = words(operator_client.get(reverse(f"roaming:account_confirm_{action}", args=[account.pk])))
    assert 'name="copies"' in page
    for copy, area in zip(copies, ("Singapore", "Hong Kong"), strict=True):
        assert f"{copy.instance.name} <code>{copy.instance_id}</code>, " in page
        assert area in page
    assert "1 live session" in page


@pytest.mark.parametrize("action", ["enable", "disable", "kick", "delete"])
def test_without_copies_nothing_is_offered(
    operator_client: Client, account: ClientAccount, action: str
) -> None:
    page = operator_client.get(reverse(f"roaming:account_confirm_{action}", args=[account.pk])).text
    assert 'name="copies"' not in page


def test_disable_leaves_the_copies_alone_unless_told(
    operator_client: Client, account: ClientAccount, copies: list[ClientAccount]
) -> None:
    act(operator_client, "disable", account)
    assert enabled() == {True, False}
    response = act(operator_client, "disable", copies[0], copies="1")
    assert enabled() == {False}
    assert response.status_code == 302
    assert AuditRow.objects.filter(verb="account.disable").count() == 3
    act(operator_client, "enable", copies[1], copies="1")
    assert enabled() == {True}
    assert AuditRow.objects.filter(verb="account.enable").count() == 3


def test_disabling_what_is_disabled_everywhere_is_refused(
    operator_client: Client, account: ClientAccount, copies: list[ClientAccount]
) -> None:
    act(operator_client, "disable", account, copies="1")
    response = act(operator_client, "disable", account, copies="1")
    assert response.status_code == 409
    assert f"{account.username} and all its copies are disabled already." in response.text
    assert Cutover.objects.count() == 1


def test_kick_ends_the_sessions_of_all_with_one_cut(
    operator_client: Client, account: ClientAccount, copies: list[ClientAccount]
) -> None:
    for one in (account, *copies):
        log_on(one)
    bystander = log_on(AccountFactory(instance=copies[0].instance))
    response = act(operator_client, "kick", account, copies="1")
    assert list(UserSession.objects.filter(ended_at=None)) == [bystander]
    assert Cutover.objects.count() == 1
    page = operator_client.get(response["Location"]).text
    assert "also on Hong-Kong, Singapore-office: 3 sessions ended." in page


def test_remove_takes_the_copies_along_only_by_choice(
    operator_client: Client, account: ClientAccount, copies: list[ClientAccount]
) -> None:
    act(operator_client, "delete", copies[0])
    assert set(ClientAccount.objects.values_list("pk", flat=True)) == {account.pk, copies[1].pk}
    assert ClientAccount.objects.get(pk=copies[1].pk).source is None
    act(operator_client, "delete", account, copies="1")
    assert not ClientAccount.objects.exists()
    assert AuditRow.objects.filter(verb="account.delete").count() == 3


def test_a_copy_whose_source_went_still_shares_the_password(
    account: ClientAccount, copies: list[ClientAccount]
) -> None:
    accounts.account_delete(account=copies[0], actor=ACTOR)
    accounts.account_reset_password(account=account, password="Autumn-2026", actor=ACTOR)
    assert len(set(ClientAccount.objects.values_list("password", flat=True))) == 1


def test_the_answer_goes_back_to_where_the_question_was_asked(
    operator_client: Client, account: ClientAccount
) -> None:
    log_on(account)
    sessions = reverse("roaming:sessions", args=[account.instance_id])
    question = reverse("roaming:account_confirm_kick", args=[account.pk])
    assert f'value="{sessions}"' in operator_client.get(question, {"next": sessions}).text
    assert act(operator_client, "kick", account, next=sessions)["Location"] == sessions
    log_on(account)
    elsewhere = act(operator_client, "kick", account, next="https://evil.example/")
    assert elsewhere["Location"] == reverse("roaming:accounts", args=[account.instance_id])
