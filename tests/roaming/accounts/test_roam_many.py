"""Roaming of many accounts: choosing them, the dialog, the work in the background, a result for each."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.models import AuditRow, Task
from console.work import tasks
from roaming.accounts import services as accounts
from roaming.instances import services as instances
from roaming.models import ClientAccount, Instance
from tests.responses import words
from tests.roaming.answers import HTMX_DIALOG
from tests.roaming.factories import ACTOR, AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(instance: Instance) -> list[ClientAccount]:
    return [AccountFactory(instance=instance, username=f"traveller{n}") for n in range(4)]


@pytest.fixture
def there(db: None) -> Instance:
    return InstanceFactory(region_id="ap-southeast-1", cidrs=["10.250.0.0/24"])


def url(instance: Instance) -> str:
    return reverse("roaming:accounts_roam", args=[instance.pk])


def chosen(*people: ClientAccount) -> str:
    return "?" + "&".join(f"account={account.pk}" for account in people)


def run_tasks() -> None:
    while tasks.work("worker-of-tests", seconds=30):
        pass


def results(task: Task) -> dict[str, tuple[str, str]]:
    return {item.name: (item.state, item.message) for item in task.items.all()}


@pytest.mark.parametrize("headers", [{}, HTMX_DIALOG], ids=["plain", "htmx"])
def test_the_ticked_ones_are_copied_and_nobody_else(
    operator_client: Client,
    instance: Instance,
    people: list[ClientAccount],
    there: Instance,
    headers: dict[str, Any],
) -> None:
    target = url(instance) + chosen(people[0], people[2])
    page = words(operator_client.get(target + f"&area=singapore&instance={there.pk}"))
    assert "<strong>2</strong>: traveller0, traveller2" in page
    answer = operator_client.post(target, {"area": "singapore", "instance": there.pk}, headers=headers)
    task = Task.objects.get()
    progress = reverse("tasks:detail", args=[task.pk])
    assert progress in (answer["HX-Location"] if headers else answer["Location"])
    assert not there.accounts.exists(), "it waits for the worker"
    run_tasks()
    task.refresh_from_db()
    assert (task.state, task.done, task.failed) == (Task.State.DONE, 2, 0)
    assert set(there.accounts.values_list("username", flat=True)) == {"traveller0", "traveller2"}
    page = words(operator_client.get(progress))
    assert page.count(f"To log on at the destination, the user enters the instance ID {there.pk}") == 2
    assert log_on(there.accounts.get(username="traveller0")).client_ip.startswith("10.250.0.")
    assert AuditRow.objects.filter(verb="account.roam", actor="operator").count() == 2


def test_each_account_has_a_result_of_its_own(
    operator_client: Client, instance: Instance, people: list[ClientAccount], there: Instance
) -> None:
    AccountFactory(instance=there, username="TRAVELLER1")
    instances.instance_update(instance=there, name=there.name, description="", account_quota=3, actor=ACTOR)
    target = url(instance) + chosen(*people)
    page = words(operator_client.get(target + f"&area=singapore&instance={there.pk}"))
    assert "1 of the user names exists there already" in page
    operator_client.post(target, {"area": "singapore", "instance": there.pk})
    accounts.account_delete(account=people[0], actor=ACTOR)
    run_tasks()
    found = results(Task.objects.get())
    assert found["traveller0"] == ("failed", "traveller0 was removed meanwhile.")
    taken = f"{there.name} has a client account named traveller1 already."
    assert found["traveller1"] == ("failed", taken)
    assert found["traveller2"][0] == found["traveller3"][0] == "done"


def test_a_quota_that_is_too_small_is_foreseen_and_filled(
    operator_client: Client, instance: Instance, people: list[ClientAccount]
) -> None:
    small = InstanceFactory(region_id="ap-southeast-1", cidrs=["10.250.0.0/24"], account_quota=3)
    target = url(instance) + "?all=1"
    page = words(operator_client.get(target + f"&area=singapore&instance={small.pk}"))
    assert "The quota has room for 3 more" in page
    operator_client.post(target, {"instance": small.pk})
    run_tasks()
    states = [state for state, _ in results(Task.objects.get()).values()]
    assert sorted(states) == ["done", "done", "done", "failed"]
    assert small.accounts.count() == 3


def test_all_that_match_the_search_and_the_filter(
    operator_client: Client, instance: Instance, people: list[ClientAccount], there: Instance
) -> None:
    AccountFactory(instance=instance, username="somebody-else")
    AccountFactory(username="traveller-elsewhere")
    accounts.account_disable(account=people[3], actor=ACTOR)
    listed = words(
        operator_client.get(reverse("roaming:accounts", args=[instance.pk]), {"q": "travel", "enabled": "1"})
    )
    assert "Roam all 3 that match" in listed
    target = url(instance) + "?all=1&q=travel&enabled=1"
    assert target.replace("&", "&amp;") in listed
    assert "<strong>3</strong>:" in words(operator_client.get(target))
    operator_client.post(target, {"area": "singapore", "instance": there.pk})
    run_tasks()
    assert set(there.accounts.values_list("username", flat=True)) == {f"traveller{n}" for n in range(3)}


def test_a_plain_form_carries_the_choice_along(
    operator_client: Client, instance: Instance, people: list[ClientAccount], there: Instance
) -> None:
    page = operator_client.get(url(instance) + chosen(*people[:2])).text
    area_form = page.split('id="roam-area"')[1].split("</form>")[0]
    for account in people[:2]:
        assert f'name="account" value="{account.pk}"' in area_form
    assert people[2].pk not in page


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "No client account is chosen."),
        ("?account=user-none&account=%00", "No client account is chosen."),
    ],
)
def test_nothing_chosen_is_said(
    operator_client: Client,
    instance: Instance,
    people: list[ClientAccount],
    there: Instance,
    query: str,
    sentence: str,
) -> None:
    assert sentence in words(operator_client.get(url(instance) + query))
    answer = operator_client.post(url(instance) + query, {"instance": there.pk})
    assert answer.status_code == 422
    assert not Task.objects.exists()


def test_accounts_of_another_instance_are_not_taken_along(
    operator_client: Client, instance: Instance, there: Instance
) -> None:
    foreign = AccountFactory()
    answer = operator_client.post(url(instance) + chosen(foreign), {"instance": there.pk})
    assert answer.status_code == 422
    assert not ClientAccount.objects.filter(instance=there).exists()


def test_a_limit_that_nobody_can_keep_starts_nothing(
    operator_client: Client, instance: Instance, people: list[ClientAccount]
) -> None:
    block = str(instance.blocks()[0])
    overlapping = InstanceFactory(region_id="ap-southeast-1", cidrs=[block])
    answer = operator_client.post(url(instance) + "?all=1", {"area": "singapore", "instance": overlapping.pk})
    assert answer.status_code == 422
    assert f"{block} of {instance.name} overlaps {block} of {overlapping.name}." in words(answer)
    assert not Task.objects.exists()


def test_without_an_instance_nothing_starts(
    operator_client: Client, instance: Instance, people: list[ClientAccount]
) -> None:
    answer = operator_client.post(url(instance) + "?all=1", {"area": "singapore"})
    assert answer.status_code == 422
    assert "choose an instance in another area" in words(answer)


def test_viewers_get_no_boxes(
    viewer_client: Client, operator_client: Client, instance: Instance, people: list[ClientAccount]
) -> None:
    listed = reverse("roaming:accounts", args=[instance.pk])
    assert 'form="selection"' in operator_client.get(listed).text
    assert 'form="selection"' not in viewer_client.get(listed).text
