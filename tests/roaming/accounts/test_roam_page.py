"""The dialog Configure Roaming: areas, instances with their limits, the copy, and every way to be refused."""

from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.models import AuditRow
from roaming.instances import services as instances
from roaming.models import ClientAccount
from tests.queries import queries
from tests.responses import words
from tests.roaming.answers import HTMX_DIALOG
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, abroad

pytestmark = pytest.mark.django_db
HTMX_CHOICE = {"HX-Request": "true", "HX-Target": "roam-choice"}


def url(account: ClientAccount) -> str:
    return reverse("roaming:account_roam", args=[account.pk])


def test_the_dialog_names_the_account_and_offers_every_area_but_its_own(
    operator_client: Client, account: ClientAccount
) -> None:
    page = words(operator_client.get(url(account)))
    assert account.username in page
    assert '<option value="singapore"' in page
    assert '<option value="hong-kong"' in page
    switcher, offered = (part.split("</select>")[0] for part in page.split('name="area"')[1:3])
    assert "mainland-china" not in offered
    assert '<option value="mainland-china" selected>' in switcher, "the top bar's choice is another one"


def test_choosing_an_area_shows_its_instances_and_no_others(
    operator_client: Client, account: ClientAccount
) -> None:
    there, elsewhere = abroad(), InstanceFactory(region_id="cn-hongkong")
    page = words(operator_client.get(url(account), {"area": "singapore"}))
    assert there.pk in page
    assert elsewhere.pk not in page
    assert "OK" in page


def test_htmx_gets_the_changing_part_alone(operator_client: Client, account: ClientAccount) -> None:
    there = abroad()
    response = operator_client.get(url(account), {"area": "singapore"}, headers=HTMX_CHOICE)
    page = response.text
    assert page.strip().startswith('<div class="field">')
    assert there.pk in page
    assert "csrfmiddlewaretoken" not in page


def test_an_instance_that_can_be_chosen_shows_every_limit_as_kept(
    operator_client: Client, account: ClientAccount
) -> None:
    there = abroad()
    page = words(operator_client.get(url(account), {"area": "singapore", "instance": there.pk}))
    assert page.count('aria-label="Kept:"') == 6
    assert 'aria-label="Not kept:"' not in page


def test_what_cannot_be_chosen_is_listed_with_the_exact_reason(
    operator_client: Client, account: ClientAccount
) -> None:
    block = account.instance.blocks()[0]
    overlapping = abroad(name="overlapping", cidrs=["10.251.0.0/24", str(block)])
    stopped = instances.instance_stop(instance=abroad(name="stopped"), actor=ACTOR)
    page = words(operator_client.get(url(account), {"area": "singapore"}))
    assert f"{block} of {account.instance.name} overlaps {block} of overlapping." in page
    assert "stopped is not available at present." in page
    for refused in (overlapping, stopped):
        assert f'<option value="{refused.pk}"' not in page


def test_an_area_without_instances_says_what_to_do(operator_client: Client, account: ClientAccount) -> None:
    page = words(operator_client.get(url(account), {"area": "hong-kong"}))
    assert "Create one there first." in page


def test_a_static_ip_is_told_to_become_a_leased_one(operator_client: Client) -> None:
    account = AccountFactory(instance=InstanceFactory(cidrs=["10.9.0.0/24"]), static_ip="10.9.0.7")
    page = words(operator_client.get(url(account)))
    assert "10.9.0.7" in page
    assert "the copy gets a leased one" in page


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_ok_copies_and_names_the_instance_to_log_on_at(
    operator_client: Client, account: ClientAccount, headers: dict[str, Any]
) -> None:
    there = abroad()
    answer = operator_client.post(url(account), {"area": "singapore", "instance": there.pk}, headers=headers)
    back = reverse("roaming:accounts", args=[account.instance_id])
    assert back in (answer["HX-Location"] if headers else answer["Location"])
    copy = ClientAccount.objects.get(instance=there)
    assert copy.source == account
    page = words(operator_client.get(back))
    assert f"enter the instance ID {there.pk}" in page
    assert f"{reverse('roaming:accounts', args=[there.pk])}?q={account.username}" in page
    assert f"{back}?q={account.username}" in words(
        operator_client.get(reverse("roaming:accounts", args=[there.pk]))
    )
    row = AuditRow.objects.get(verb="account.roam")
    assert (row.actor, row.after["to"]) == ("operator", there.pk)


def test_same_area_is_refused_though_never_offered(operator_client: Client, account: ClientAccount) -> None:
    neighbour = InstanceFactory()
    answer = operator_client.post(url(account), {"area": "mainland-china", "instance": neighbour.pk})
    assert answer.status_code == 422
    assert "lies in the same area" in words(answer)
    assert not ClientAccount.objects.filter(instance=neighbour).exists()


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("", "choose an instance in another area."),
        ("sag-000000000000000000", "this instance does not exist any more."),
        ("sag-\0", "this instance does not exist any more."),
        ("x" * 5000, "this instance does not exist any more."),
    ],
)
def test_a_wrong_instance_is_said_and_nothing_is_made(
    operator_client: Client, account: ClientAccount, chosen: str, sentence: str
) -> None:
    answer = operator_client.post(
        url(account), {"area": "singapore", "instance": chosen}, headers=HTMX_DIALOG
    )
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ClientAccount.objects.count() == 1


def test_what_changed_since_the_dialog_opened_is_said_beside_the_limits(
    operator_client: Client, account: ClientAccount
) -> None:
    there = abroad(account_quota=1)
    assert 'aria-label="Not kept:"' not in words(
        operator_client.get(url(account), {"area": "singapore", "instance": there.pk})
    )
    AccountFactory(instance=there)
    answer = operator_client.post(url(account), {"area": "singapore", "instance": there.pk})
    assert answer.status_code == 422
    assert f"The quota of 1 client accounts of {there.name} is used up." in words(answer)
    assert 'aria-label="Not kept:"' in words(answer)


@pytest.mark.parametrize("area", ["", "nowhere", "mainland-china", "\0", "x" * 5000])
def test_an_area_that_cannot_be_chosen_is_as_none(
    operator_client: Client, account: ClientAccount, area: str
) -> None:
    answer = operator_client.get(url(account), {"area": area})
    assert answer.status_code == 200
    assert "Choose the area first" in words(answer)


def test_the_pre_flight_costs_the_same_for_one_instance_and_for_many(
    operator_client: Client, account: ClientAccount
) -> None:
    abroad()
    ask = partial(operator_client.get, url(account), {"area": "singapore"}, headers=HTMX_CHOICE)
    one = queries(ask)
    for third in range(30):
        AccountFactory(instance=abroad(cidrs=[f"10.240.{third}.0/24"]))
    many = queries(ask)
    assert len(one) == len(many) <= 8
