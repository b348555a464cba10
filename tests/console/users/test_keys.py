"""Access keys: made by their user, the secret told once; others see none of them but administrators."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from console.core import access_keys, audit
from console.core.errors import Conflict
from console.models import AccessKey, AuditRow, User
from tests.responses import words

pytestmark = pytest.mark.django_db
LIST, ADD = reverse("access_keys:list"), reverse("access_keys:add")
ACTOR = audit.System("test")


def url(name: str, key: AccessKey) -> str:
    return reverse(f"access_keys:{name}", args=[key.pk])


@pytest.fixture
def key(operator: User) -> AccessKey:
    return access_keys.access_key_create(user=operator, actor=operator)[0]


def test_a_key_is_made_and_its_secret_is_shown_once(operator_client: Client, operator: User) -> None:
    answer = operator_client.post(ADD)
    key = AccessKey.objects.get()
    (secret,) = re.findall(r'id="new-secret">([^<]+)<', answer.text)
    assert key.user == operator and re.fullmatch(r"LTAI[0-9a-f]{20}", key.pk) and key.pk in answer.text
    assert secret == access_keys.access_key_secret(key) and len(secret) == 30
    assert "no-store" in answer["Cache-Control"]
    page = operator_client.get(LIST).text
    assert key.pk in page and secret not in page and "Never" in page
    row = AuditRow.objects.get(verb="access_key.create")
    assert row.after == {"user": "operator"} and secret not in str(AuditRow.objects.values())
    assert secret not in str(AccessKey.objects.values())


def test_a_look_makes_no_key(operator_client: Client) -> None:
    assert operator_client.get(ADD).status_code == 200 and not AccessKey.objects.exists()


def test_a_key_is_switched_off_and_on_and_deleted(operator_client: Client, key: AccessKey) -> None:
    assert "are refused until" in operator_client.get(url("confirm_disable", key)).text
    operator_client.post(url("disable", key))
    key.refresh_from_db()
    assert not key.enabled and operator_client.post(url("disable", key)).status_code == 409
    operator_client.post(url("enable", key))
    key.refresh_from_db()
    assert key.enabled
    assert f"{key.pk} was deleted." in operator_client.post(url("delete", key), follow=True).text
    verbs = list(
        AuditRow.objects.filter(verb__startswith="access_key").order_by("pk").values_list("verb", flat=True)
    )
    assert verbs == [f"access_key.{word}" for word in ("create", "disable", "enable", "delete")]


def test_keys_of_others_are_not_there(viewer_client: Client, key: AccessKey) -> None:
    assert key.pk not in viewer_client.get(LIST).text
    for name in ("confirm_disable", "confirm_delete"):
        assert viewer_client.get(url(name, key)).status_code == 404
    for name in ("disable", "enable", "delete"):
        assert viewer_client.post(url(name, key)).status_code == 404
    assert AccessKey.objects.get().enabled


def test_an_administrator_sees_the_keys_of_all_and_may_take_them_away(
    administrator_client: Client, key: AccessKey
) -> None:
    page = words(administrator_client.get(LIST))
    assert key.pk in page and "operator" in page
    administrator_client.post(url("disable", key))
    assert AuditRow.objects.get(verb="access_key.disable").actor == "administrator"
    administrator_client.post(url("delete", key))
    assert not AccessKey.objects.exists()


def test_a_user_has_so_many_keys_and_no_more(operator_client: Client, operator: User) -> None:
    for _ in range(access_keys.MOST):
        assert operator_client.post(ADD).status_code == 200
    answer = operator_client.post(ADD)
    assert answer.status_code == 422 and "which is the most. Delete one of them first." in answer.text
    with pytest.raises(Conflict):
        access_keys.access_key_create(user=operator, actor=ACTOR)


def test_the_last_use_is_noted_now_and_then(key: AccessKey, operator_client: Client) -> None:
    access_keys.access_key_used(key)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None and "just now" in operator_client.get(LIST).text
    access_keys.access_key_used(key)
    key.refresh_from_db()
    assert key.last_used_at == first, "a busy program writes a row a minute and not at each call"


def test_keys_go_with_their_user(key: AccessKey, administrator_client: Client, operator: User) -> None:
    administrator_client.post(reverse("users:delete", args=[operator.pk]))
    assert not AccessKey.objects.exists()
