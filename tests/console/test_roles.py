"""Who may open what: every URL of the console × every role, taken from the map itself."""

import re

import pytest
from django.test import Client
from django.urls import get_resolver

from console.access import ROLES
from console.checks import every_url_declares_its_role, url_views

# An id in the products' shape; nothing has it, so who is let in gets a 404 or 405 and nothing is changed.
NOBODY = "connector-0123456789abcdef"
PAGES = sorted({(path, view.required_role) for path, view in url_views(get_resolver().url_patterns)})
PROTECTED = [(path, role) for path, role in PAGES if role in ROLES]
PUBLIC = [path for path, role in PAGES if role == "public"]


def concrete(pattern: str) -> str:
    return "/" + re.sub(r"<[^>]+>", NOBODY, re.sub(r"<int:[^>]+>", "987654321", pattern))


def statuses(client: Client, path: str) -> set[int]:
    return {client.get(path).status_code, client.post(path).status_code}


def test_the_map_is_not_empty() -> None:
    assert len(PROTECTED) > 40
    assert "healthz" in PUBLIC
    assert "log-in/" in PUBLIC


def test_every_url_declares_a_role() -> None:
    assert every_url_declares_its_role(None) == []


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "role"), PROTECTED, ids=[path for path, _ in PROTECTED])
def test_strangers_are_sent_to_the_log_in(client: Client, path: str, role: str) -> None:
    response = client.get(concrete(path))
    assert response.status_code in (302, 405)
    if response.status_code == 302:
        assert response["Location"].startswith("/log-in/")


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path, role in PROTECTED if role == "operator"])
def test_viewers_may_not_act(viewer_client: Client, path: str) -> None:
    assert statuses(viewer_client, concrete(path)) <= {403, 405}


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path, role in PROTECTED if role == "administrator"])
def test_operators_may_not_administer(operator_client: Client, path: str) -> None:
    assert statuses(operator_client, concrete(path)) <= {403, 405}


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path, role in PROTECTED if role == "viewer"])
def test_viewers_may_see(viewer_client: Client, path: str) -> None:
    assert viewer_client.get(concrete(path)).status_code in (200, 404, 405)


@pytest.mark.django_db
def test_only_administrators_enter_django_admin_by_role(
    viewer_client: Client, operator_client: Client
) -> None:
    assert viewer_client.get("/admin/").status_code == 302
    assert operator_client.get("/admin/").status_code == 302
