"""Who may open what: every URL of the console × every role, taken from the map itself."""

import re

import pytest
from django.test import Client
from django.urls import get_resolver

from console.checks import every_url_declares_its_role, url_views
from console.core.access import ROLES

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
def test_strangers_are_sent_to_the_log_in(subtests: pytest.Subtests, client: Client) -> None:
    for path, role in PROTECTED:
        with subtests.test(path=path, role=role):
            response = client.get(concrete(path))
            assert response.status_code in (302, 405)
            if response.status_code == 302:
                assert response["Location"].startswith("/log-in/")


@pytest.mark.django_db
def test_viewers_may_not_act(subtests: pytest.Subtests, viewer_client: Client) -> None:
    for path in [path for path, role in PROTECTED if role == "operator"]:
        with subtests.test(path=path):
            assert statuses(viewer_client, concrete(path)) <= {403, 405}


@pytest.mark.django_db
def test_operators_may_not_administer(subtests: pytest.Subtests, operator_client: Client) -> None:
    for path in [path for path, role in PROTECTED if role == "administrator"]:
        with subtests.test(path=path):
            assert statuses(operator_client, concrete(path)) <= {403, 405}


@pytest.mark.django_db
def test_viewers_may_see(subtests: pytest.Subtests, viewer_client: Client) -> None:
    for path in [path for path, role in PROTECTED if role == "viewer"]:
        with subtests.test(path=path):
            response = viewer_client.get(concrete(path))
            assert response.status_code in (200, 404, 405)
            assert re.search("private|no-store", response.get("Cache-Control", "")), (
                "only its reader may keep it"
            )


@pytest.mark.django_db
def test_only_administrators_enter_django_admin_by_role(
    viewer_client: Client, operator_client: Client
) -> None:
    assert viewer_client.get("/admin/").status_code == 302
    assert operator_client.get("/admin/").status_code == 302
