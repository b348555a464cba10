"""Changing CCN, blocks and DNS of an instance, and what follows for those who are on."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.machines import config
from console.models import Cutover
from roaming.instances import services as instances
from roaming.models import ClientAccount, Instance, UserSession
from tests.roaming.answers import HTMX_PANEL
from tests.roaming.factories import ACTOR, PASSWORD, AccountFactory, CCNFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


def url(instance: Instance) -> str:
    return reverse("roaming:instance_network", args=[instance.pk])


def test_it_is_saved_and_the_gateways_are_told(operator_client: Client, instance: Instance) -> None:
    ccn = CCNFactory()
    before = config.current().version
    response = operator_client.post(
        url(instance), {"cidrs": "10.9.0.0/24", "ccn": ccn.pk, "dns1": "10.9.0.53"}
    )
    assert response["Location"] == reverse("roaming:instance", args=[instance.pk])
    instance.refresh_from_db()
    assert ([str(block) for block in instance.blocks()], instance.ccn) == (["10.9.0.0/24"], ccn)
    assert config.current().version == before + 1
    assert Cutover.objects.get().target == instance.pk


def test_sessions_outside_the_new_blocks_end_and_the_others_stay(operator_client: Client) -> None:
    instance = InstanceFactory(account_quota=2, cidrs=["10.9.0.0/30"])
    account = AccountFactory(instance=instance)
    outside = log_on(account)
    instances.instance_network_update(
        instance=instance, cidrs=["10.9.0.0/30", "10.8.0.0/24"], ccn=None, actor=ACTOR
    )
    UserSession.objects.filter(pk=outside.pk).update(client_ip="10.8.0.9")
    inside = log_on(account)
    UserSession.objects.filter(pk=inside.pk).update(client_ip="10.9.0.1")
    operator_client.post(url(instance), {"cidrs": "10.9.0.0/30"})
    outside.refresh_from_db()
    inside.refresh_from_db()
    assert outside.end_reason == "kicked"
    assert inside.ended_at is None


def test_saving_the_same_again_cuts_nothing(operator_client: Client, instance: Instance) -> None:
    log_on(AccountFactory(instance=instance))
    before = config.current().version
    operator_client.post(url(instance), {"cidrs": str(instance.blocks()[0])})
    assert config.current().version == before
    assert UserSession.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    ("cidrs", "sentence"),
    [
        ("", "An instance with client accounts needs at least one CIDR block."),
        (
            "10.8.0.0/24",
            "fixed-address has the static IP 10.9.0.7, which is not a usable address of these blocks.",
        ),
        ("10.9.0.0/29", "The blocks hold 6 usable addresses"),
    ],
)
def test_blocks_must_suit_the_accounts(
    operator_client: Client, cidrs: str, sentence: str, headers: dict[str, Any]
) -> None:
    instance = InstanceFactory(account_quota=10, cidrs=["10.9.0.0/24"])
    AccountFactory(instance=instance, username="fixed-address", static_ip="10.9.0.7")
    response = operator_client.post(url(instance), {"cidrs": cidrs}, headers=headers)
    assert response.status_code == 422
    assert sentence in response.text
    assert [str(block) for block in instance.blocks()] == ["10.9.0.0/24"]


def test_a_password_still_works_after_the_move(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount
) -> None:
    operator_client.post(url(account.instance), {"cidrs": "10.200.0.0/24"})
    answer = login(password=PASSWORD).json()
    assert answer["session"]["client_ip"].startswith("10.200.0.")
