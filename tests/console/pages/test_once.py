"""A form counts once: whoever sends it again gets the first one's answer, and no secret lies about in clear."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from connectors.models import Application, Connector
from console.core import once
from console.models import AuditRow, Gateway, Submission, User
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory
from tests.console.drawn import form
from tests.console.factories import GATEWAY_FORM, PASSWORD, UserFactory
from tests.roaming.factories import InstanceFactory

pytestmark = pytest.mark.django_db
ADD = "/sase/applications/add/"
WIKI = {"name": "wiki", "addresses": "wiki.corp.example", "ports": "443"}


def test_a_repetition_gets_the_first_answer_and_its_message(operator_client: Client) -> None:
    said = form(operator_client, ADD).sent(**WIKI)
    answers = [operator_client.post(ADD, said) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [302] * 3
    assert {answer["Location"] for answer in answers} == {"/sase/applications/"}
    assert Application.objects.count() == 1
    shown = operator_client.get("/sase/applications/").text
    assert shown.count("wiki was added.") == 1


def test_htmx_gets_its_answer_again_as_well(operator_client: Client) -> None:
    said = form(operator_client, ADD).sent(**WIKI)
    headers = {"HX-Request": "true", "HX-Target": "panel"}
    first, again = (operator_client.post(ADD, said, headers=headers) for _ in range(2))
    assert first["HX-Location"] == again["HX-Location"] and Application.objects.count() == 1


def test_another_content_or_page_is_another_submission(operator_client: Client) -> None:
    mine = form(operator_client, ADD)
    operator_client.post(ADD, mine.sent(**WIKI))
    operator_client.post(ADD, mine.sent(**WIKI | {"name": "mail"}))
    assert set(Application.objects.values_list("name", flat=True)) == {"wiki", "mail"}


def test_a_refused_form_may_be_sent_again(operator_client: Client) -> None:
    blocker = ConnectorFactory(name="office")
    path = "/sase/connectors/add/"
    said = form(operator_client, path).sent(name="office", region="cn-shanghai")
    assert operator_client.post(path, said).status_code == 422
    Connector.objects.filter(pk=blocker.pk).delete()
    assert operator_client.post(path, said).status_code == 302
    assert Submission.objects.count() == 1


def test_another_user_with_the_same_token_is_nobody(operator_client: Client) -> None:
    said = form(operator_client, ADD).sent(**WIKI)
    operator_client.post(ADD, said)
    other = Client()
    other.force_login(UserFactory(role="operator"), backend="django.contrib.auth.backends.ModelBackend")
    assert (
        other.post(ADD, said).status_code == 422
    )  # the name is taken: the form was worked on, not answered again


def test_a_password_shown_once_is_shown_to_a_repetition_and_sealed_in_the_database(
    operator_client: Client,
) -> None:
    path = f"/sag/instances/{InstanceFactory().pk}/accounts/add/"
    said = form(operator_client, path).sent(username="anna-berg", email="anna@example.org")
    first, again = (operator_client.post(path, said) for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    password = first.text.split('id="new-password"')[1].split(">")[1].split("<")[0].strip()
    row = Submission.objects.get()
    assert len(password) > 7 and password not in row.answer and row.answer.startswith("gAAAA")
    # After a quarter of an hour nobody sees the answer, and still nothing is done twice.
    Submission.objects.update(ended_at=timezone.now() - once.KEEP_ANSWER)
    late = operator_client.post(path, said)
    assert late.status_code == 409 and "Nothing was done a second time." in late.text
    assert once.forget_old() == 1 and Submission.objects.get().answer == ""
    assert once.forget_old(timezone.now() + once.KEEP) == 1


def test_a_command_that_was_made_is_shown_again_and_not_made_again(administrator_client: Client) -> None:
    administrator_client.post("/gateways/add/", GATEWAY_FORM)
    path = f"/gateways/{Gateway.objects.get().pk}/deploy/"
    said = form(administrator_client, path).sent()
    first, again = (administrator_client.post(path, said) for _ in range(2))
    assert "--code" in first.text and first.content == again.content
    assert AuditRow.objects.filter(verb="enrollment_code.create").count() == 1


def test_django_admin_counts_once_too(superuser_client: Client) -> None:
    path = "/admin/console/gateway/add/"
    said = form(superuser_client, path).sent(**GATEWAY_FORM)
    first, again = (superuser_client.post(path, said) for _ in range(2))
    assert (first.status_code, again.status_code) == (302, 302) and Gateway.objects.count() == 1


def test_a_search_in_a_picker_is_no_submission(operator_client: Client) -> None:
    path = "/sase/policies/pick/applications/"
    said = {"submission": "x" * 16, "find_applications": "wiki"}
    assert "wiki" not in operator_client.post(path, said | {"find_applications": ""}).text
    factories.application("wiki")
    assert "wiki" in operator_client.post(path, said | {"find_applications": ""}).text
    assert not Submission.objects.exists()


def test_work_that_broke_off_is_done_again_only_when_nothing_was_written(operator: User) -> None:
    row = once.claim(key="k", user=operator, path="/")
    long_ago = timezone.now() - once.BROKEN - timedelta(seconds=1)
    Submission.objects.update(begun_at=long_ago)
    assert once.claim(key="k", user=operator, path="/").pk == row.pk
    Submission.objects.update(begun_at=long_ago, written=True)
    with pytest.raises(once.Repeated) as repeated:
        once.claim(key="k", user=operator, path="/")
    assert repeated.value.answer is None


def test_who_repeats_a_form_that_takes_too_long_is_told_so(
    operator_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "WAIT_SECONDS", 0.0)
    said = form(operator_client, ADD).sent(**WIKI)
    operator_client.post(ADD, said)
    Submission.objects.update(ended_at=None, begun_at=timezone.now())
    answer = operator_client.post(ADD, said)
    assert answer.status_code == 409 and "still being worked on" in answer.text


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_works_and_all_get_its_answer() -> None:
    user = UserFactory(role="operator", username="anna")
    clients = []
    for _ in range(4):
        client = Client()
        assert client.post("/log-in/", {"username": "anna", "password": PASSWORD}).status_code == 302
        clients.append(client)
    said = form(clients[0], ADD).sent(**WIKI)
    start = threading.Barrier(len(clients))
    answers: list[Any] = []

    def send(client: Client) -> None:
        try:
            start.wait()
            answers.append(client.post(ADD, said))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [302] * 4
    assert Application.objects.count() == 1 and Submission.objects.get().user == user
