"""Modify, stop, start, empty and delete an instance: what each does, says first, and refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.machines import config
from console.models import AuditRow, Cutover, Gateway
from roaming.accounts.roaming import account_roam
from roaming.models import CCN, ClientAccount, Instance, UserSession
from tests.responses import words
from tests.roaming.answers import HTMX_DIALOG, HTMX_PANEL
from tests.roaming.factories import ACTOR, AccountFactory, CCNFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


def url(action: str, instance: Instance) -> str:
    return reverse(f"roaming:instance_{action}", args=[instance.pk])


def wishes(instance: Instance, **changes: Any) -> dict[str, Any]:
    now = {"name": instance.name, "description": "", "account_quota": instance.account_quota}
    return now | changes


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
def test_name_description_and_quota_change(
    operator_client: Client, instance: Instance, headers: dict[str, Any]
) -> None:
    data = wishes(instance, name="Head-office", description="For Shanghai", account_quota=200)
    answer = operator_client.post(url("edit", instance), data, headers=headers)
    back = reverse("roaming:instance", args=[instance.pk])
    assert back in (answer["HX-Location"] if headers else answer["Location"])
    page = words(operator_client.get(back))
    for shown in ("Head-office", "For Shanghai", "of 200"):
        assert shown in page
    row = AuditRow.objects.get(verb="instance.update")
    assert (row.before["account_quota"], row.after["account_quota"]) == (10, 200)


def test_the_quota_goes_down_to_what_is_in_use_and_no_further(
    operator_client: Client, instance: Instance
) -> None:
    for _ in range(3):
        AccountFactory(instance=instance)
    answer = operator_client.post(url("edit", instance), wishes(instance, account_quota=2))
    assert answer.status_code == 422
    assert "The quota cannot be less than the number of client accounts, 3." in words(answer)
    assert operator_client.post(url("edit", instance), wishes(instance, account_quota=3)).status_code == 302


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"account_quota": 255}, "The CIDR blocks hold 254 usable addresses; the quota cannot be more."),
        ({"account_quota": 0}, "Account quota must be 1–1,000,000."),
        ({"account_quota": "x"}, "Enter a whole number."),
        ({"name": "1st"}, "Name must be 2–128 characters"),
        ({"description": "http://x"}, "Description must be 2–256 characters"),
    ],
)
def test_a_bad_field_is_named(
    operator_client: Client, instance: Instance, change: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post(url("edit", instance), wishes(instance, **change))
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert not AuditRow.objects.filter(verb="instance.update").exists()


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_stop_ends_sessions_and_log_on_until_start(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount, headers: dict[str, Any]
) -> None:
    instance, session = account.instance, log_on(account)
    assert "1 session ends now" in words(operator_client.get(url("confirm_stop", instance)))
    operator_client.post(url("stop", instance), headers=headers)
    session.refresh_from_db()
    assert session.end_reason == "instance_inactive"
    assert Cutover.objects.get().target == instance.pk
    assert login().status_code == 403
    assert operator_client.post(url("stop", instance)).status_code == 409
    operator_client.post(url("start", instance), headers=headers)
    assert login().status_code == 200
    again = operator_client.post(url("start", instance))
    assert again.status_code == 409
    assert f"{instance.name} is available already." in words(again)


def test_everybody_is_kicked_and_may_come_again(
    operator_client: Client, login: Callable[..., Any], account: ClientAccount
) -> None:
    instance, elsewhere = account.instance, log_on(AccountFactory())
    assert "Kick all" not in words(operator_client.get(url("confirm_kick", instance))).split("dialog-foot")[1]
    for _ in range(2):
        log_on(account)
    assert "2 sessions end now" in words(operator_client.get(url("confirm_kick", instance)))
    answer = operator_client.post(url("kick", instance))
    assert answer["Location"] == reverse("roaming:sessions", args=[instance.pk])
    assert f"2 sessions of {instance.name} ended." in words(operator_client.get(answer["Location"]))
    assert list(UserSession.objects.filter(ended_at=None)) == [elsewhere]
    assert Cutover.objects.get().target == instance.pk
    assert operator_client.post(url("kick", instance)).status_code == 409
    assert login().status_code == 200


def test_delete_explains_what_depends_on_the_instance(operator_client: Client) -> None:
    instance = InstanceFactory(ccn=CCNFactory(name="ccn-kept"))
    people = [AccountFactory(instance=instance) for _ in range(3)]
    abroad = InstanceFactory(region_id="ap-southeast-1")
    account_roam(account=people[0], destination=abroad, actor=ACTOR)
    log_on(people[1])
    page = words(operator_client.get(url("confirm_delete", instance)))
    assert "3 client accounts belong to it" in page
    assert all(account.username in page for account in people)
    assert "1 copy of them on other instances stays and keeps working." in page
    assert "1 session ends now" in page
    assert "The CCN ccn-kept and its cloud networks stay." in page


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_an_instance_with_accounts_goes_only_by_choice(
    operator_client: Client, account: ClientAccount, headers: dict[str, Any]
) -> None:
    instance = account.instance
    copy = account_roam(account=account, destination=InstanceFactory(region_id="ap-southeast-1"), actor=ACTOR)
    refused = operator_client.post(url("delete", instance), headers=headers)
    assert refused.status_code == 409
    assert "has client accounts (1)" in words(refused)
    assert Instance.objects.filter(pk=instance.pk).exists()
    before = config.current().version
    gone = operator_client.post(url("delete", instance), {"with_accounts": "1"}, headers=headers)
    assert reverse("roaming:instances") in (gone["HX-Location"] if headers else gone["Location"])
    assert list(ClientAccount.objects.values_list("pk", "source")) == [(copy.pk, None)]
    assert config.current().version == before + 1
    assert AuditRow.objects.get(verb="instance.delete").before["accounts"] == 1
    assert operator_client.post(url("delete", instance)).status_code == 404


def test_an_empty_instance_goes_at_once(operator_client: Client, instance: Instance) -> None:
    page = words(operator_client.get(url("confirm_delete", instance)))
    assert "It has no client accounts." in page
    assert "with_accounts" not in page
    assert operator_client.post(url("delete", instance)).status_code == 302
    assert not Instance.objects.exists()


def network(instance: Instance, **changes: str) -> dict[str, str]:
    return {"cidrs": "\n".join(map(str, instance.blocks())), "ccn": instance.ccn_id or ""} | changes


def test_a_ccn_is_made_with_the_network_configuration(operator_client: Client, instance: Instance) -> None:
    answer = operator_client.post(url("network", instance), network(instance, new_ccn="fresh-ccn"))
    assert answer.status_code == 302
    made = CCN.objects.get(name="fresh-ccn")
    instance.refresh_from_db()
    assert instance.ccn == made
    assert made.area_id == instance.region.area_id
    assert {"ccn.create", "instance.network"} <= set(AuditRow.objects.values_list("verb", flat=True))


def test_a_ccn_that_is_refused_leaves_everything_as_it_was(
    operator_client: Client, instance: Instance
) -> None:
    CCNFactory(name="taken")
    answer = operator_client.post(
        url("network", instance), network(instance, new_ccn="taken", dns1="10.0.0.1")
    )
    assert answer.status_code == 422
    assert "A CCN of this name exists in the area already." in words(answer)
    instance.refresh_from_db()
    assert (instance.ccn, instance.dns1) == (None, None)
    bad_block = network(instance, new_ccn="fresh-ccn", cidrs="10.0.0.1/24")
    answer = operator_client.post(url("network", instance), bad_block)
    assert "10.0.0.0/24 was probably meant" in words(answer)
    assert not CCN.objects.filter(name="fresh-ccn").exists()


def test_a_ccn_is_either_chosen_or_named(operator_client: Client, instance: Instance) -> None:
    other = CCNFactory(name="other")
    data = network(instance, ccn=other.pk, new_ccn="fresh-ccn")
    answer = operator_client.post(url("network", instance), data)
    assert answer.status_code == 422
    assert "Choose a CCN or name a new one, not both." in words(answer)
    # A CCN that is bound already gives way to a new one.
    operator_client.post(url("network", instance), network(instance, ccn=other.pk))
    instance.refresh_from_db()
    operator_client.post(url("network", instance), network(instance, new_ccn="fresh-ccn"))
    instance.refresh_from_db()
    assert instance.ccn is not None
    assert instance.ccn.name == "fresh-ccn"


def test_a_new_instance_may_bring_its_ccn(operator_client: Client) -> None:
    data = {"region": "cn-shanghai", "name": "office", "account_quota": 5, "cidrs": "10.1.0.0/24"}
    answer = operator_client.post(reverse("roaming:instance_add"), data | {"new_ccn": "office-ccn"})
    assert answer.status_code == 302
    ccn = Instance.objects.get(name="office").ccn
    assert ccn is not None
    assert ccn.name == "office-ccn"


def test_basic_information_is_complete(operator_client: Client, gateway: Gateway) -> None:
    gateway.enrolled_at = timezone.now()
    gateway.save()
    ccn = CCNFactory(networks=["172.16.0.0/16"])
    instance = InstanceFactory(ccn=ccn, dns1="10.0.0.53", dns2="10.0.0.54", description="For Shanghai")
    page = words(operator_client.get(reverse("roaming:instance", args=[instance.pk])))
    shown = (instance.pk, "For Shanghai", "Mainland China", "cn-shanghai", "254 usable addresses", ccn.name)
    for part in (*shown, "172.16.0.0/16", "10.0.0.53, 10.0.0.54", gateway.name, gateway.proxy_url):
        assert part in page
