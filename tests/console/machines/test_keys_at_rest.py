"""What a stolen database or a stolen machine holds: no secret that opens something by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.urls import reverse

from console.core.sealed import open_private_key
from console.machines import enrollment, pki
from console.models import Authority
from console.push import services as push
from tests.connectors.factories import ACTOR
from tests.console.everything import everything
from tests.console.factories import PASSWORD, UserFactory
from tests.console.machine import Machine
from tests.roaming.factories import PASSWORD as ACCOUNTS_PASSWORD
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db
RECEIVER = "https://hooks.example.com/t0p-53cret"


def rows() -> str:
    """Every row of every table, as whoever reads the database sees it."""
    return "\n".join(str(row) for model in apps.get_models() for row in model._default_manager.values())


def logged_on() -> str:
    account = AccountFactory()
    body = {"instance": account.instance_id, "username": account.username, "password": ACCOUNTS_PASSWORD}
    answer = Client().post("/edge/v1/login", body | {"kind": "connect"}, content_type="application/json")
    return str(answer.json()["token"])


def test_no_table_holds_a_secret_as_it_is() -> None:
    user = UserFactory(role="administrator")
    ids = everything(user)
    client = Client()
    assert client.post(reverse("login"), {"username": user.username, "password": PASSWORD}).status_code == 302
    code, _ = enrollment.code_create(kind="server", target=str(ids["connector_id"]), actor=ACTOR)
    _, signing = push.channel_create(name="hook", kind="webhook", url=RECEIVER, actor=ACTOR)
    secrets = {
        "a cookie": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "a user's password": PASSWORD,
        "an account's password": ACCOUNTS_PASSWORD,
        "a session token": logged_on(),
        "an enrollment code": code,
        "a webhook's secret": signing,
        "a webhook's address": RECEIVER,
    }
    stored = rows()
    assert user.username in stored and str(ids["connector_id"]) in stored
    assert not [name for name, secret in secrets.items() if secret in stored]


@pytest.mark.parametrize("kind", ["ca", "session"])
def test_no_private_key_is_opened_without_the_secret_key(kind: str) -> None:
    pki.authority(kind)
    pem = Authority.objects.get(kind=kind).private_key.encode()
    for password in (None, b"", b"causeway"):
        with pytest.raises((TypeError, ValueError)):
            load_pem_private_key(pem, password)
    assert open_private_key(Authority.objects.get(kind=kind).private_key)


def configuration(machine: Machine) -> dict[str, Any]:
    path = "gateway/config" if machine.kind == "gateway" else "server/config"
    question = {"applied_version": 0} if machine.kind == "gateway" else {}
    answer: dict[str, Any] = machine.call(path, question).json()
    return answer


def test_a_machine_is_told_no_key_of_the_console_and_no_password() -> None:
    ids = everything(UserFactory(role="operator"))
    account = AccountFactory()
    for kind, target in (("gateway", ids["gateway_id"]), ("server", ids["connector_id"])):
        told = json.dumps(configuration(Machine(kind, str(target))))
        assert len(told) > 100
        for secret in ("PRIVATE KEY", account.password, ACCOUNTS_PASSWORD, "md5$", settings.SECRET_KEY):
            assert secret not in told, kind


def test_a_server_is_told_of_its_own_connectors_applications_alone() -> None:
    ids = everything(UserFactory(role="operator"))
    others = everything(UserFactory(role="operator"))
    told = json.dumps(configuration(Machine("server", str(ids["connector_id"]))))
    assert str(ids["application_id"]) in told
    assert str(others["application_id"]) not in told and str(others["connector_id"]) not in told
