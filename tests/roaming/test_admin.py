"""Django admin: the same services by another door."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.models import AuditRow, User
from roaming.models import CCN, ClientAccount, CloudNetwork, Instance, UserSession
from tests.roaming.factories import AccountFactory, CCNFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


def url(model: str, view: str, *args: Any) -> str:
    return reverse(f"admin:roaming_{model}_{view}", args=args)


def test_a_viewer_deletes_nothing(viewer_client: Client, viewer: User, account: ClientAccount) -> None:
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    url_of_it = url("clientaccount", "delete", account.pk)
    assert viewer_client.post(url_of_it, {"post": "yes"}).status_code == 403


def test_an_instance_is_created_and_changed_by_the_services(staff_client: Client) -> None:
    ccn = CCNFactory()
    wish = {
        "name": "by-admin",
        "region": "cn-shanghai",
        "account_quota": 5,
        "cidrs": "10.9.0.0/24",
        "ccn": ccn.pk,
    }
    assert staff_client.post(url("instance", "add"), wish).status_code == 302
    instance = Instance.objects.get()
    assert [str(block) for block in instance.blocks()] == ["10.9.0.0/24"]
    change = wish | {"name": "renamed", "status": "stopped", "cidrs": "10.9.0.0/24\n10.10.0.0/24"}
    assert staff_client.post(url("instance", "change", instance.pk), change).status_code == 302
    instance.refresh_from_db()
    assert (instance.name, instance.status, len(instance.blocks())) == ("renamed", "stopped", 2)
    verbs = set(AuditRow.objects.filter(target=instance.pk).values_list("verb", flat=True))
    assert verbs == {"instance.create", "instance.network", "instance.update", "instance.status"}


def test_a_refusal_stands_beside_its_field_and_nothing_is_written(staff_client: Client) -> None:
    wish = {"name": "by-admin", "region": "cn-shanghai", "account_quota": 500, "cidrs": "10.9.0.0/24"}
    response = staff_client.post(url("instance", "add"), wish)
    assert response.status_code == 200
    assert "fewer than the quota of 500" in response.text
    assert "10.9.0.0/24" in response.text
    assert not Instance.objects.exists()


def test_an_account_is_added_disabled_and_removed(staff_client: Client, instance: Instance) -> None:
    wish = {"instance": instance.pk, "username": "alice-ant", "email": "a@example.org", "bandwidth_kbps": 100}
    response = staff_client.post(url("clientaccount", "add"), wish)
    assert "Give the account a password." in response.text
    staff_client.post(url("clientaccount", "add"), wish | {"new_password": "Winter-2026"})
    account = ClientAccount.objects.get()
    session = log_on(account, password="Winter-2026")
    change = {"email": "new@example.org", "bandwidth_kbps": 200}  # the box «enabled» is not ticked
    assert staff_client.post(url("clientaccount", "change", account.pk), change).status_code == 302
    account.refresh_from_db()
    session.refresh_from_db()
    assert (account.email, account.bandwidth_kbps, account.enabled) == ("new@example.org", 200, False)
    assert session.end_reason == "account_disabled"
    staff_client.post(url("clientaccount", "delete", account.pk), {"post": "yes"})
    assert not ClientAccount.objects.exists()
    assert AuditRow.objects.filter(verb="account.delete").exists()


def test_a_refused_removal_is_a_message(staff_client: Client) -> None:
    instance = InstanceFactory(ccn=CCNFactory())
    AccountFactory(instance=instance)
    for model, row in (("ccn", instance.ccn), ("instance", instance)):
        response = staff_client.post(url(model, "delete", row.pk), {"post": "yes"}, follow=True)
        assert response.status_code == 200
        assert "is bound to the instance" in response.text or "has client accounts (1)" in response.text
    chosen = {"action": "delete_selected", "_selected_action": [instance.ccn_id], "post": "yes"}
    response = staff_client.post(url("ccn", "changelist"), chosen, follow=True)
    assert "is bound to the instance" in response.text
    assert CCN.objects.exists()


def test_cloud_networks_are_added_and_removed(staff_client: Client) -> None:
    ccn = CCNFactory()
    staff_client.post(url("cloudnetwork", "add"), {"ccn": ccn.pk, "cidr": "172.16.0.0/16"})
    network = CloudNetwork.objects.get()
    response = staff_client.post(url("cloudnetwork", "add"), {"ccn": ccn.pk, "cidr": "172.16.1.0/24"})
    assert "overlaps 172.16.0.0/16" in response.text
    staff_client.post(url("cloudnetwork", "delete", network.pk), {"post": "yes"})
    assert not CloudNetwork.objects.exists()


def test_selected_sessions_are_kicked(staff_client: Client, account: ClientAccount) -> None:
    session = log_on(account)
    chosen = {"action": "kick", "_selected_action": [session.pk]}
    response = staff_client.post(url("usersession", "changelist"), chosen, follow=True)
    assert "Sessions ended: 1." in response.text
    assert UserSession.objects.get().end_reason == "kicked"
