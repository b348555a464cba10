"""Deploy panel: a command with a one-use code, and what the command fetches."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from connectors.fleet import services
from connectors.models import Connector
from console.models import AuditRow, EnrollmentCode
from tests.connectors.factories import ACTOR, ConnectorFactory
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
CODE = re.compile(r"--code ([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})")


@pytest.fixture
def wheels(tmp_path: Path, settings: Settings) -> Path:
    settings.WHEEL_DIR = tmp_path
    for age, version in ((100, "0.1.0"), (0, "0.2.0")):
        path = tmp_path / f"causeway-{version}-py3-none-any.whl"
        path.write_bytes(f"wheel {version}".encode())
        stamp = path.stat().st_mtime - age
        os.utime(path, (stamp, stamp))
    (tmp_path / "secret.txt").write_text("not for you")
    return tmp_path


def url(connector: Connector) -> str:
    return f"/sase/connectors/{connector.pk}/deploy/"


def test_looking_makes_no_code_and_asking_makes_one_that_admits_a_server(
    operator_client: Client, connector: Connector, wheels: Path
) -> None:
    assert not CODE.search(operator_client.get(url(connector)).text)
    text = operator_client.post(url(connector)).text
    found = CODE.search(text)
    assert found is not None
    code = found[1]
    assert f"curl -fsSL {django_settings.PUBLIC_URL}/deploy/connector.sh | sh -s -- --code {code}" in text
    for command in ("--upgrade", "--uninstall", "--export-logs"):
        assert command in text
    assert code not in str(list(EnrollmentCode.objects.values())) + str(list(AuditRow.objects.values()))
    assert code not in operator_client.get(url(connector)).text, "it is shown once"
    machine = Machine("server", connector.pk)
    answer = machine.enroll(code)
    assert answer.status_code == 200 and answer.json()["connector"] == connector.pk


def test_the_page_with_a_code_is_kept_by_no_cache(operator_client: Client, connector: Connector) -> None:
    assert "no-store" in operator_client.post(url(connector))["Cache-Control"]


def test_an_open_code_is_listed_and_revoked(operator_client: Client, connector: Connector) -> None:
    code, record = services.server_code_create(connector=connector, actor=ACTOR)
    assert record.pk in operator_client.get(url(connector)).text
    revoke = f"/sase/connectors/{connector.pk}/revoke-code/"
    other = f"/sase/connectors/{ConnectorFactory().pk}/revoke-code/"
    assert operator_client.post(other, {"code": record.pk}).status_code == 404
    assert operator_client.post(revoke, {"code": record.pk}).status_code == 302
    assert operator_client.post(revoke, {"code": record.pk}).status_code == 404
    assert operator_client.post(revoke, {"code": "a\0b"}).status_code == 404
    assert AuditRow.objects.filter(verb="enrollment_code.revoke").count() == 1
    refused = Machine("server", connector.pk).enroll(code)
    assert refused.json()["error"]["code"] == "EnrollmentCodeRevoked"


def test_the_script_names_the_newest_wheel_and_its_digest(client: Client, wheels: Path) -> None:
    answer = client.get("/deploy/connector.sh")
    text = answer.text
    assert answer["Content-Type"].startswith("text/x-shellscript")
    assert "causeway-0.2.0-py3-none-any.whl" in text and hashlib.sha256(b"wheel 0.2.0").hexdigest() in text
    assert django_settings.PUBLIC_URL in text


def test_the_wheel_is_served_to_anybody(client: Client, wheels: Path) -> None:
    answer = client.get("/deploy/causeway-0.2.0-py3-none-any.whl")
    assert answer.getvalue() == b"wheel 0.2.0"


@pytest.mark.parametrize(
    "name", ["causeway-9-py3-none-any.whl", "secret.txt", "..%2Fsecret.txt", "%2Fetc%2Fpasswd"]
)
def test_nothing_but_the_wheels_is_served(client: Client, wheels: Path, name: str) -> None:
    answer = client.get(f"/deploy/{name}")
    assert answer.status_code == 404 and b"not for you" not in answer.content


def test_without_a_wheel_the_script_says_so_and_the_panel_warns(
    client: Client, operator_client: Client, connector: Connector, tmp_path: Path, settings: Settings
) -> None:
    settings.WHEEL_DIR = tmp_path / "missing"
    answer = client.get("/deploy/connector.sh")
    assert answer.status_code == 503 and "no causeway wheel" in answer.text
    assert "no <code>causeway</code> wheel" in operator_client.get(url(connector)).text
