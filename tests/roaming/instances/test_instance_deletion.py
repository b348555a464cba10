"""Deleting an instance with many accounts: cut off with the click, removed by the worker, resumable."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.machines import config, snapshot
from console.models import AuditRow, Cutover, Gateway, Task
from console.work import tasks
from roaming.accounts.roaming import account_roam
from roaming.instances import deletion
from roaming.models import ClientAccount, Instance, UserSession
from tests.connectors import factories as private_access
from tests.queries import queries
from tests.responses import Response, words
from tests.roaming.answers import HTMX_DIALOG
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(
    instance: Instance, account: ClientAccount, monkeypatch: pytest.MonkeyPatch
) -> list[ClientAccount]:
    """Five accounts of the instance, which counts as large."""
    monkeypatch.setattr(deletion, "MOST_ACCOUNTS", 4)
    monkeypatch.setattr(deletion, "ACCOUNTS", 2)
    return [account, *(AccountFactory(instance=instance) for _ in range(4))]


@pytest.fixture
def delete(operator_client: Client, instance: Instance) -> Callable[..., Any]:
    def send(**headers: str) -> Response:
        url = reverse("roaming:instance_delete", args=[instance.pk])
        return operator_client.post(url, {"with_accounts": "1"}, headers=headers)

    return send


def work(worker: str = "tests", **more: Any) -> None:
    while tasks.work(worker, **more):
        pass


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_it_is_cut_off_with_the_click_and_gone_in_the_end(
    operator_client: Client,
    delete: Callable[..., Any],
    instance: Instance,
    people: list[ClientAccount],
    login: Callable[..., Any],
    gateway: Gateway,
    headers: dict[str, Any],
) -> None:
    copy = account_roam(
        account=people[1], destination=InstanceFactory(region_id="ap-southeast-1"), actor=ACTOR
    )
    session = log_on(people[0])
    answer = delete(**headers)
    task = Task.objects.get()
    there = reverse("tasks:detail", args=[task.pk])
    assert there in (answer["HX-Location"] if headers else answer["Location"])
    # With the click: nobody is on, nobody gets in, gateways are told to cut, nothing is removed in the request.
    session.refresh_from_db()
    assert session.end_reason == "instance_inactive"
    assert (refused := login()).status_code == 403
    assert refused.json()["error"]["code"] == "InstanceInactive"
    assert Cutover.objects.get().target == instance.pk
    assert snapshot.build(gateway).instances[instance.pk].active is False
    assert instance.accounts.count() == 5
    assert "Being deleted" in words(operator_client.get(reverse("roaming:instances")))
    before = config.current().version
    work()
    task.refresh_from_db()
    assert (task.state, task.failed, task.done) == ("done", 0, 3 + 1 + 1)
    assert not Instance.objects.filter(pk=instance.pk).exists()
    assert list(ClientAccount.objects.values_list("pk", "source")) == [(copy.pk, None)]
    assert not UserSession.objects.exists()
    assert config.current().version > before, "gateways are told that the instance is gone"
    assert AuditRow.objects.get(verb="instance.delete").before["accounts"] == 5
    assert operator_client.get(there).status_code == 200


def test_nothing_about_it_can_be_changed_any_more(
    operator_client: Client, delete: Callable[..., Any], instance: Instance, people: list[ClientAccount]
) -> None:
    delete()
    page = words(operator_client.get(reverse("roaming:instance", args=[instance.pk])))
    assert "The instance is being deleted." in page
    wishes = {"name": "renamed", "description": "", "account_quota": 10}
    account = {
        "username": "newcomer",
        "email": "n@x.example",
        "bandwidth_kbps": 2000,
        "password": "Winter-2026",
    }
    for name, data in (("instance_edit", wishes), ("account_add", account)):
        answer = operator_client.post(reverse(f"roaming:{name}", args=[instance.pk]), data)
        assert answer.status_code == 422
        assert f"{instance.name} is being deleted." in words(answer)
    start = operator_client.post(reverse("roaming:instance_start", args=[instance.pk]))
    assert start.status_code == 409
    assert f"{instance.name} is being deleted." in words(start)
    again = delete()
    assert again.status_code == 409
    assert "is being deleted already. The list of tasks shows the progress." in words(again)
    assert Task.objects.count() == 1


def test_progress_is_seen_and_a_dead_worker_costs_nothing(
    operator_client: Client, delete: Callable[..., Any], instance: Instance, people: list[ClientAccount]
) -> None:
    delete()
    task = Task.objects.get()
    tasks.work("first", seconds=0)
    assert instance.accounts.count() == 3
    assert "1 of 4" in words(operator_client.get(reverse("tasks:progress", args=[task.pk])))
    # It dies with the task in its hands.
    Task.objects.update(worker="first", heartbeat_at=timezone.now())
    assert not tasks.work("second"), "it may still be alive"
    work("second", now=timezone.now() + tasks.STALE + timedelta(seconds=1))
    task.refresh_from_db()
    assert (task.state, task.failed) == ("done", 0)
    assert not Instance.objects.exists()


def test_a_cancelled_deletion_is_finished_by_deleting_again(
    operator_client: Client, delete: Callable[..., Any], instance: Instance, people: list[ClientAccount]
) -> None:
    delete()
    tasks.work("tests", seconds=0)
    operator_client.post(reverse("tasks:cancel", args=[Task.objects.get().pk]))
    work()
    assert Instance.objects.get(pk=instance.pk).status == "deleting", "still cut off"
    assert instance.accounts.count() == 3
    assert delete().status_code == 302
    work()
    assert not Instance.objects.exists()


def test_many_past_log_ons_alone_are_left_to_the_worker(
    delete: Callable[..., Any], instance: Instance, account: ClientAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "MOST_SESSIONS", 2)
    monkeypatch.setattr(deletion, "SESSIONS", 2)
    for _ in range(3):
        log_on(account)
    delete()
    assert Instance.objects.get().status == "deleting"
    work()
    assert not Instance.objects.exists()
    assert not UserSession.objects.exists()


def test_the_question_names_groups_and_policies_and_says_how_it_goes(
    operator_client: Client, instance: Instance, people: list[ClientAccount]
) -> None:
    elsewhere = AccountFactory()
    private_access.group("Finance", accounts=[people[0]])
    private_access.group("Others", accounts=[elsewhere])
    private_access.policy(
        private_access.ConnectorFactory(), "wiki-for-two", all_users=False, accounts=people[:2]
    )
    url = reverse("roaming:instance_confirm_delete", args=[instance.pk])
    assert len(queries(operator_client.get, url)) <= 8
    page = words(operator_client.get(url))
    assert "Some of them are named by the user group <a" in page
    assert ">Finance</a> and the forwarding policy <a" in page
    assert ">wiki-for-two</a>, which will lose them." in page
    assert "Others" not in page
    assert "removed in the background" in page


def test_a_small_one_says_nothing_of_the_background(operator_client: Client, account: ClientAccount) -> None:
    page = words(operator_client.get(reverse("roaming:instance_confirm_delete", args=[account.instance_id])))
    assert "background" not in page
    assert "will lose them" not in page
