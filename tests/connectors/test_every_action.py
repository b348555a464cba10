"""What holds for every address about one object: wrong methods, ids that are none, and objects of somebody else."""

import pytest
from django.test import Client
from django.urls import reverse

from connectors import urls
from connectors.models import Application, Connector, Policy, Server, UserGroup
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory

pytestmark = pytest.mark.django_db

OBJECTS = {
    "connector": urls.connector_urls,
    "policy": urls.policy_urls,
    "application": urls.application_urls,
    "group": urls.group_urls,
}
NAMES = [(kind, str(pattern.name)) for kind, patterns in OBJECTS.items() for pattern in patterns]
SERVER_NAMES = [str(pattern.name) for pattern in urls.server_urls]
# What changes something without a form of its own answers to nothing but POST.
ACTIONS = ("enable", "disable", "delete", "remove", "priority")
CHANGES = [(kind, name) for kind, name in NAMES if name.removeprefix(f"{kind}_") in ACTIONS]
SERVER_CHANGES = [name for name in SERVER_NAMES if name.removeprefix("server_") in ACTIONS]


@pytest.fixture
def world(connector: Connector, server: Server) -> dict[str, str]:
    """One of each kind: kind → its id."""
    application = factories.application("wiki")
    policy = factories.policy(connector, all_applications=False, applications=[application])
    return {
        "connector": connector.pk,
        "policy": policy.pk,
        "application": application.pk,
        "group": factories.group("staff").pk,
        "server": server.pk,
    }


def everything() -> list[object]:
    return [list(model.objects.values()) for model in (Connector, Server, Policy, Application, UserGroup)]


def test_the_tables_hold_what_there_is() -> None:
    assert {kind for kind, _ in CHANGES} == set(OBJECTS) and len(CHANGES) >= 10 and len(SERVER_CHANGES) == 3


@pytest.mark.parametrize(("kind", "name"), CHANGES)
def test_a_get_changes_nothing(
    administrator_client: Client, world: dict[str, str], kind: str, name: str
) -> None:
    before = everything()
    assert administrator_client.get(reverse(f"connectors:{name}", args=[world[kind]])).status_code == 405
    assert everything() == before


@pytest.mark.parametrize("name", SERVER_CHANGES)
def test_a_get_changes_no_server(administrator_client: Client, world: dict[str, str], name: str) -> None:
    before = everything()
    url = reverse(f"connectors:{name}", args=[world["connector"], world["server"]])
    assert administrator_client.get(url).status_code == 405 and everything() == before


@pytest.mark.parametrize(("kind", "name"), CHANGES)
def test_a_viewer_changes_nothing(viewer_client: Client, world: dict[str, str], kind: str, name: str) -> None:
    before = everything()
    assert viewer_client.post(reverse(f"connectors:{name}", args=[world[kind]])).status_code == 403
    assert everything() == before


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_an_id_that_is_none_is_not_found(
    administrator_client: Client, world: dict[str, str], kind: str, name: str, htmx: bool
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "panel"} if htmx else {}
    for unknown in (f"{kind}-0000000000000000", "x", "a\0b"):
        url = reverse(f"connectors:{name}", args=[unknown])
        answers = [getattr(administrator_client, verb)(url, headers=headers) for verb in ("get", "post")]
        assert {answer.status_code for answer in answers} <= {404, 405} and answers[0] != answers[1]
        assert 404 in {answer.status_code for answer in answers}


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_a_server_is_only_reached_by_way_of_its_own_connector(
    administrator_client: Client, world: dict[str, str], name: str
) -> None:
    before = everything()
    other = ConnectorFactory()
    answers = [
        getattr(administrator_client, verb)(
            reverse(f"connectors:{name}", args=[other.pk, world["server"]]), headers={"HX-Request": "true"}
        )
        for verb in ("get", "post")
    ]
    # The state of one that is gone is asked for by pages that still show it: they are told to take it away.
    allowed = {286, 405} if name == "server_state" else {404, 405}
    assert {answer.status_code for answer in answers} <= allowed
    other.delete()
    assert everything() == before
