"""Nobody overwrites what he did not see: forms, switches, priorities, deletions, Django admin and tasks alike."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from connectors.applications import services as applications
from connectors.models import Application, Connector, Policy
from connectors.policies import services as policies
from console import ports
from console.core import audit, versions
from console.models import AuditRow, Task, TaskItem, User
from console.work import tasks
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory
from tests.console import drawn
from tests.console.drawn import form
from tests.console.factories import UserFactory
from tests.responses import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def application(db: None) -> Application:
    return factories.application("wiki", description="The wiki")


@pytest.fixture
def other(db: None) -> User:
    return UserFactory(username="bob", role="operator")


def url(application: Application) -> str:
    return f"/sase/applications/{application.pk}/"


def addresses(application: Application) -> list[str]:
    return sorted(application.addresses.values_list("address", flat=True))


def test_a_save_based_on_an_older_version_is_refused_field_by_field_with_the_input_kept(
    operator_client: Client, application: Application, other: User
) -> None:
    mine = form(operator_client, url(application))
    narrowed: dict[str, Any] = {"addresses": ["a.example", "b.example"], "tags": ["red"]}
    applications.application_update(application=application, actor=other, **narrowed)
    answer = operator_client.post(url(application), mine.sent(description="mine", ports="443"))
    assert answer.status_code == 422
    said = words(answer)
    assert "wiki was changed by bob on" in said and "Nothing of yours was written." in said
    assert "Addresses: <del>wiki.corp.example</del> → <ins>a.example, b.example</ins>" in said
    assert 'name="description" value="mine"' in said
    application.refresh_from_db()
    assert application.description == "The wiki" and addresses(application) == ["a.example", "b.example"]
    again = drawn.own(answer, url(application))
    kept = {name: value for name, value in again.pairs if name.startswith("keep.")}
    assert kept == {
        "keep.description": "mine",
        "keep.ports": "mine",
        "keep.addresses": "theirs",
        "keep.tags": "theirs",
    }
    assert operator_client.post(url(application), again.sent()).status_code == 302
    application.refresh_from_db()
    assert (application.description, addresses(application)) == ("mine", ["a.example", "b.example"])
    assert list(application.tags.values_list("name", flat=True)) == ["red"]


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_a_field_that_both_changed_is_the_persons_choice(
    operator_client: Client, application: Application, other: User, choice: str
) -> None:
    mine = form(operator_client, url(application))
    applications.application_update(application=application, actor=other, description="theirs")
    answer = operator_client.post(url(application), mine.sent(description="mine"))
    again = drawn.own(answer, url(application))
    assert again.get("keep.description") == "mine" and again.get("theirs.description") == '["theirs"]'
    chosen = again.sent(**{"keep.description": choice})
    assert operator_client.post(url(application), chosen).status_code == 302
    application.refresh_from_db()
    assert application.description == choice


def test_a_third_change_meanwhile_asks_again(
    operator_client: Client, application: Application, other: User
) -> None:
    mine = form(operator_client, url(application))
    applications.application_update(application=application, actor=other, description="second")
    answer = operator_client.post(url(application), mine.sent(description="mine"))
    again = drawn.own(answer, url(application))
    applications.application_update(application=application, actor=other, description="third")
    answer = operator_client.post(url(application), again.sent())
    assert answer.status_code == 422 and "<ins>third</ins>" in answer.text
    application.refresh_from_db()
    assert application.description == "third"


def test_an_old_form_does_not_widen_a_policy_that_was_narrowed(
    operator_client: Client, application: Application, other: User
) -> None:
    policy = factories.policy(ConnectorFactory(), "staff")
    path = f"/sase/policies/{policy.pk}/"
    mine = form(operator_client, path)
    narrow: dict[str, Any] = {"all_applications": False, "applications": [application]}
    policies.policy_update(policy=policy, actor=other, **narrow)
    answer = operator_client.post(path, mine.sent(description="second"))
    said = words(answer)
    assert answer.status_code == 422 and "<strong>Theirs</strong> Selected applications" in said
    assert "<strong>Theirs</strong> wiki" in said
    again = drawn.own(answer, path)
    assert operator_client.post(path, again.sent()).status_code == 302
    policy.refresh_from_db()
    assert not policy.all_applications and list(policy.applications.all()) == [application]
    assert policy.description == "second"


ACTIONS = [
    ("enable/", "", {}),
    ("disable/", "confirm-disable/", {}),
    ("delete/", "confirm-delete/", {}),
    ("priority/", "", {"priority": 7}),
]


@pytest.mark.parametrize(("act", "question", "said"), ACTIONS)
@pytest.mark.parametrize("target", [None, "panel", "dialog"])
def test_an_action_from_an_old_page_is_done_only_when_it_is_asked_for_once_more(
    operator_client: Client, other: User, act: str, question: str, said: dict[str, Any], target: str | None
) -> None:
    policy = factories.policy(ConnectorFactory(), "staff", enabled=act != "enable/")
    path = f"/sase/policies/{policy.pk}/"
    mine = form(operator_client, path + question if question else "/sase/policies/", path + act)
    policies.policy_update(policy=policy, actor=other, name="everybody")
    before = AuditRow.objects.count()
    headers = {"HX-Request": "true", "HX-Target": target} if target else {}
    answer = operator_client.post(path + act, mine.sent(**said), headers=headers)
    assert answer.status_code == 409 and AuditRow.objects.count() == before
    assert "everybody was changed by bob" in words(answer)
    assert ("<html" in answer.text) == (target is None)
    again = drawn.own(answer, path + act)
    assert again.action == path + act
    assert operator_client.post(path + act, again.sent()).status_code == 302
    assert AuditRow.objects.count() == before + 1
    found = Policy.objects.filter(pk=policy.pk).values_list("enabled", "priority").first()
    assert found == {"enable/": (True, 10), "disable/": (False, 10), "priority/": (True, 7)}.get(act)


def test_what_was_deleted_is_named_with_the_person(operator_client: Client, other: User) -> None:
    policy = factories.policy(ConnectorFactory(), "staff")
    path = f"/sase/policies/{policy.pk}/"
    mine = form(operator_client, path)
    policies.policy_delete(policy=policy, actor=other)
    answer = operator_client.post(path, mine.sent(description="x"))
    assert answer.status_code == 404 and "staff was deleted by bob on" in answer.text
    answer = operator_client.post(
        path, mine.sent(description="x"), headers={"HX-Request": "true", "HX-Target": "panel"}
    )
    assert answer["HX-Retarget"] == "#panel .notices"  # the form stays, with what was typed


def test_an_open_page_is_told_what_others_do(
    operator_client: Client, viewer_client: Client, application: Application, other: User
) -> None:
    answer = operator_client.get(url(application), headers={"HX-Request": "true", "HX-Target": "panel"})
    live = answer.text.split('data-live="')[1].split('"')[0].replace("&amp;", "&")
    assert "bob" not in operator_client.get(live).text
    applications.application_update(application=application, actor=other, description="new")
    assert "<ins>new</ins>" in operator_client.get(live).text
    applications.application_delete(application=application, actor=other)
    answer = operator_client.get(live)
    assert "Deleted meanwhile" in answer.text and "bob" in answer.text
    # Who may not see the page hears nothing of its object: the form is for operators.
    assert "bob" not in viewer_client.get(live).text


def test_what_is_no_change_stands_in_nobodys_way(operator_client: Client, operator: User) -> None:
    connector = ConnectorFactory(name="office")
    path = f"/sase/connectors/{connector.pk}/rename/"
    mine = form(operator_client, path)
    for verb in versions.NOTES:
        audit.record(actor=ACTOR, verb=verb, target=connector)
    assert operator_client.post(path, mine.sent(name="branch")).status_code == 302


def test_a_form_that_changes_nothing_overwrites_nothing(
    operator_client: Client, application: Application, other: User
) -> None:
    mine = form(operator_client, url(application))
    applications.application_update(application=application, actor=other, description="same")
    assert operator_client.post(url(application), mine.sent(description="same")).status_code == 302


def test_a_number_from_before_a_restore_counts_as_old(
    operator_client: Client, application: Application
) -> None:
    mine = form(operator_client, url(application))
    answer = operator_client.post(url(application), mine.sent(description="x", based_on=10**9))
    assert answer.status_code == 422 and "wiki was changed by test" in answer.text
    for nonsense in ("x", "-1", "9" * 30, "１"):
        sent = mine.sent(description=f"free {nonsense}", based_on=nonsense, submission=None)
        assert operator_client.post(url(application), sent).status_code == 302


# --- Django admin -----------------------------------------------------------------------------------------------------


def test_django_admin_refuses_as_the_pages_do(
    superuser_client: Client, application: Application, other: User
) -> None:
    path = f"/admin/connectors/application/{application.pk}/change/"
    mine = form(superuser_client, path)
    applications.application_update(application=application, actor=other, addresses=["a.example"])
    answer = superuser_client.post(path, mine.sent(description="mine"))
    assert answer.status_code == 200 and "wiki was changed by bob" in answer.text
    again = next(each for each in drawn.forms(answer, path) if each.get("based_on") and each.action == path)
    assert again.get("keep.addresses") == "theirs"
    assert superuser_client.post(path, again.sent()).status_code == 302
    application.refresh_from_db()
    assert (application.description, addresses(application)) == ("mine", ["a.example"])


def test_django_admin_deletes_nothing_from_an_old_page(
    superuser_client: Client, application: Application, other: User
) -> None:
    path = f"/admin/connectors/application/{application.pk}/delete/"
    one, listed = form(superuser_client, path), form(superuser_client, "/admin/connectors/application/")
    applications.application_update(application=application, actor=other, description="new")
    answer = superuser_client.post(path, one.sent(), follow=True)
    assert "iki was changed by bob" in answer.text
    asked = {"action": "delete_selected", "_selected_action": application.pk, "post": "yes"}
    answer = superuser_client.post("/admin/connectors/application/", listed.sent(**asked), follow=True)
    assert "iki was changed by bob" in answer.text
    assert Application.objects.filter(pk=application.pk).exists()


# --- Tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_refuses_item_by_item_what_was_changed_after_its_page(operator: User, other: User) -> None:
    def apply(step: tasks.Step) -> tasks.Outcome:
        connector = Connector.objects.get(pk=step.parameters["pk"])
        audit.record(actor=step.actor, verb="connector.rename", target=connector, after={"name": "x"})
        return tasks.Outcome("Done.")

    untouched, touched = ConnectorFactory(name="untouched"), ConnectorFactory(name="touched")
    ports.task_kinds.add("trial", ports.TaskKind(apply))
    try:
        with versions.basing(versions.newest()):
            items = [tasks.Item(each.name, {"pk": each.pk}) for each in (untouched, touched)]
            task = tasks.start(kind="trial", title="Trial", items=items, actor=operator)
        audit.record(actor=other, verb="connector.rename", target=touched, after={"name": "y"})
        assert tasks.work(tasks.new_worker(), now=timezone.now())
    finally:
        del ports.task_kinds["trial"]
    assert Task.objects.get(pk=task.pk).failed == 1
    found = dict(TaskItem.objects.values_list("name", "message"))
    assert found["untouched"] == "Done." and "touched was changed by bob" in found["touched"]


# --- At the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_once_exactly_one_is_refused() -> None:
    application = factories.application("wiki")
    number, start = versions.newest(), threading.Barrier(2)
    told: list[str] = []

    def save(name: str) -> None:
        try:
            with versions.basing(number):
                start.wait()
                applications.application_update(
                    application=application, description=name, actor=audit.System(name)
                )
            told.append("saved")
        except versions.Stale:
            told.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(name,)) for name in ("anna", "bert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["refused", "saved"]
    application.refresh_from_db()
    row = AuditRow.objects.get(verb="application.update")
    assert application.description == row.actor
