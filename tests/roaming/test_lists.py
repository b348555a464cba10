"""Lists: what they show, how they search, and what they cost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roaming.accounts import roaming
from roaming.accounts import services as accounts
from roaming.models import ClientAccount, Instance
from tests.queries import queries
from tests.responses import words
from tests.roaming.factories import ACTOR, AccountFactory, CCNFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db
LIMIT = 8


def world_of_instances(rows: int) -> str:
    for _ in range(rows):
        instance = InstanceFactory(ccn=CCNFactory())
        log_on(AccountFactory(instance=instance))
    return reverse("roaming:instances")


def world_of_accounts(rows: int) -> str:
    instance = InstanceFactory(account_quota=100)
    destination = InstanceFactory(region_id="ap-southeast-1", cidrs=["10.250.0.0/24"], account_quota=100)
    for _ in range(rows):
        account = AccountFactory(instance=instance)
        log_on(account)
        roaming.account_roam(account=account, destination=destination, actor=ACTOR)
    return reverse("roaming:accounts", args=[instance.pk])


def world_of_copies(rows: int) -> str:
    world_of_accounts(rows)
    copy = ClientAccount.objects.filter(source__isnull=False).earliest("pk")
    return reverse("roaming:accounts", args=[copy.instance_id])


def world_of_sessions(rows: int) -> str:
    instance = InstanceFactory(account_quota=100)
    for _ in range(rows):
        log_on(AccountFactory(instance=instance))
    return reverse("roaming:sessions", args=[instance.pk])


def world_of_ccns(rows: int) -> str:
    for _ in range(rows):
        InstanceFactory(ccn=CCNFactory(networks=["172.16.0.0/16", "172.17.0.0/16"]))
    return reverse("roaming:ccns")


WORLDS = [world_of_instances, world_of_accounts, world_of_copies, world_of_sessions, world_of_ccns]


@pytest.mark.parametrize("make", WORLDS, ids=lambda make: make.__name__)
def test_ten_rows_cost_as_many_queries_as_three(operator_client: Client, make: Callable[..., Any]) -> None:
    few = queries(operator_client.get, make(3))
    many = queries(operator_client.get, make(7))  # besides the first lot
    assert len(few) == len(many) <= LIMIT


@pytest.mark.parametrize("words", ["ALICE", "alice-ant", "example.net", "ce-an"])
def test_accounts_are_found_by_any_part_of_name_and_email(
    operator_client: Client, instance: Instance, words: str
) -> None:
    AccountFactory(instance=instance, username="Alice-Ant", email="ant@Example.net")
    AccountFactory(instance=instance, username="bob-the-bee", email="bee@example.org")
    listed = operator_client.get(reverse("roaming:accounts", args=[instance.pk]), {"q": words}).text
    assert "Alice-Ant" in listed
    assert "bob-the-bee" not in listed


@pytest.mark.parametrize("words", ["%", "_", "\\", "'", "\0", "a b", "💥", "x" * 5000])
def test_strange_searches_find_nothing_and_do_not_fail(
    operator_client: Client, account: ClientAccount, words: str
) -> None:
    response = operator_client.get(reverse("roaming:accounts", args=[account.instance_id]), {"q": words})
    assert response.status_code == 200


def test_accounts_of_other_instances_are_not_listed(operator_client: Client, account: ClientAccount) -> None:
    other = AccountFactory()
    listed = operator_client.get(reverse("roaming:accounts", args=[account.instance_id])).text
    assert other.username not in listed


def test_an_account_shows_where_it_roamed_from_and_to(
    operator_client: Client, account: ClientAccount
) -> None:
    destination = InstanceFactory(region_id="ap-southeast-1", cidrs=["10.250.0.0/24"])
    roaming.account_roam(account=account, destination=destination, actor=ACTOR)
    here = operator_client.get(reverse("roaming:accounts", args=[account.instance_id])).text
    there = operator_client.get(reverse("roaming:accounts", args=[destination.pk])).text
    assert f">{destination.name}</a>" in here
    assert f">{account.instance.name}</a>" in there


def test_htmx_aimed_at_the_table_gets_the_table_alone(
    operator_client: Client, account: ClientAccount
) -> None:
    url = reverse("roaming:accounts", args=[account.instance_id])
    response = operator_client.get(url, headers={"HX-Request": "true", "HX-Target": "table"})
    assert "<html" not in response.text
    assert account.username in response.text


def test_only_live_sessions_are_online(operator_client: Client, account: ClientAccount) -> None:
    session = log_on(account)
    url = reverse("roaming:sessions", args=[account.instance_id])
    assert session.client_ip in operator_client.get(url).text
    accounts.account_kick(account=account, actor=ACTOR)
    assert "Nobody is logged on" in operator_client.get(url).text


def test_the_instance_list_counts_accounts_and_sessions(operator_client: Client, instance: Instance) -> None:
    for _ in range(2):
        account = AccountFactory(instance=instance)
    for _ in range(3):
        log_on(account)
    row = words(operator_client.get(reverse("roaming:instances")))
    assert '<td class="align-end">2/10</td><td class="align-end">3</td>' in row


@pytest.mark.parametrize("page", ["account_menu", "account_monitoring", "account_roam"])
def test_pages_of_an_account_stand_under_instances(
    operator_client: Client, account: ClientAccount, page: str
) -> None:
    shown = operator_client.get(reverse(f"roaming:{page}", args=[account.pk])).text
    assert f'<a href="{reverse("roaming:instances")}" aria-current="page">Instances</a>' in " ".join(
        shown.split()
    )
    assert f'<a href="{reverse("roaming:instances")}">Instances</a>' in shown, "in the breadcrumb too"
