"""What the commands of the Deploy panels fetch: the script and the wheel."""

import hashlib
import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from connectors.models import Connector

pytestmark = pytest.mark.django_db


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


def test_the_script_names_the_newest_wheel_and_its_digest(client: Client, wheels: Path) -> None:
    answer = client.get("/deploy/connector.sh")
    text = answer.text
    assert answer["Content-Type"].startswith("text/x-shellscript")
    assert "causeway-0.2.0-py3-none-any.whl" in text and hashlib.sha256(b"wheel 0.2.0").hexdigest() in text
    assert django_settings.PUBLIC_URL in text and "KIND='connector'" in text
    assert "KIND='gateway'" in client.get("/deploy/gateway.sh").text


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
    panel = operator_client.get(f"/sase/connectors/{connector.pk}/deploy/").text
    assert "no <code>causeway</code> wheel" in panel
