"""Gateways ▸ Deploy: a command with a one-use code that can be taken back, and the script it fetches."""

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from console.core import audit
from console.machines import enrollment
from console.models import AuditRow, Gateway
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
CODE = re.compile(r"deploy/gateway\.sh \| sh -s -- --code ([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})")


def url(gateway: Gateway) -> str:
    return f"/gateways/{gateway.pk}/deploy/"


def test_asking_makes_a_code_that_admits_this_gateway(administrator_client: Client, gateway: Gateway) -> None:
    assert not CODE.search(administrator_client.get(url(gateway)).text)
    answer = administrator_client.post(url(gateway))
    text = answer.text
    shown = CODE.search(text)
    assert shown
    code = shown[1]
    assert "no-store" in answer["Cache-Control"]
    assert all(f"--{command}" in text for command in ("upgrade", "uninstall", "export-logs"))
    assert code not in administrator_client.get(url(gateway)).text, "it is shown once"
    assert Machine("gateway", gateway.pk).enroll(code).status_code == 200


def test_an_open_code_is_listed_and_revoked(administrator_client: Client, gateway: Gateway) -> None:
    code, record = enrollment.code_create(kind="gateway", target=gateway.pk, actor=audit.System("test"))
    assert record.pk in administrator_client.get(url(gateway)).text
    revoke = f"/gateways/{gateway.pk}/revoke-code/"
    other = GatewayFactory(name="other", client_port=4011, tunnel_port=4012)
    assert (
        administrator_client.post(f"/gateways/{other.pk}/revoke-code/", {"code": record.pk}).status_code
        == 404
    )
    assert administrator_client.post(revoke, {"code": record.pk}).status_code == 302
    assert administrator_client.post(revoke, {"code": record.pk}).status_code == 404
    assert AuditRow.objects.filter(verb="enrollment_code.revoke").count() == 1
    refused = Machine("gateway", gateway.pk).enroll(code)
    assert refused.json()["error"]["code"] == "EnrollmentCodeRevoked"


def test_the_script_is_for_a_gateway(client: Client, tmp_path: Path, settings: Settings) -> None:
    settings.WHEEL_DIR = tmp_path
    (tmp_path / "causeway-0.2.0-py3-none-any.whl").write_bytes(b"wheel")
    assert "KIND='gateway'" in client.get("/deploy/gateway.sh").text
    assert "KIND='connector'" in client.get("/deploy/connector.sh").text
