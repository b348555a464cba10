"""What the console answers is kept by no browser and no proxy; static files are."""

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path", ["/", "/log-in/", "/nothing-here/", "/healthz", "/admin/", "/edge/v1/nothing"]
)
def test_answers_to_strangers_are_stored_nowhere(client: Client, path: str) -> None:
    assert "no-store" in client.get(path)["Cache-Control"]


@pytest.mark.parametrize("path", ["/", "/nothing-here/", "/admin/", "/audit/"])
def test_pages_behind_the_log_in_are_stored_nowhere(administrator_client: Client, path: str) -> None:
    assert "no-store" in administrator_client.get(path)["Cache-Control"]


def test_an_answer_to_a_machine_is_stored_nowhere(client: Client) -> None:
    answer = client.post("/edge/v1/login", json.dumps({}), content_type="application/json")
    assert answer.status_code == 422 and "no-store" in answer["Cache-Control"]


def test_static_files_are_kept(client: Client, settings: LazySettings, tmp_path: Path) -> None:
    (tmp_path / "kept.css").write_text("a{}")
    settings.STATIC_ROOT = str(tmp_path)
    answer = client.get("/static/kept.css")
    answer.close()
    assert answer.status_code == 200 and "public" in answer["Cache-Control"]
