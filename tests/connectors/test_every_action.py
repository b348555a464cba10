"""Rules for every address of one object: wrong methods, ids that are none, objects of another owner."""

import pytest
from django.test import Client
from django.urls import reverse

from connectors.applications.urls import application_urls
from connectors.fleet.urls import connector_urls, server_urls
from connectors.models import Application, Connector, Policy, Server, UserGroup
from connectors.policies.urls import group_urls, policy_urls
from connectors.telemetry.urls import connector_urls as chart_urls
from tests.connectors import factories
from tests.connectors.factories import ConnectorFactory

pytestmark = pytest.mark.django_db

OBJECTS = {
    "connector": [*connector_urls, *chart_urls],
    "policy": policy_urls,
    "application": application_urls,
    "group": group_urls,
}
NAMES = [(kind, str(pattern.name)) for kind, patterns in OBJECTS.items() for pattern in patterns]
SERVER_NAMES = [str(pattern.name) for pattern in server_urls]
# Addresses that change something without a form of their own answer to nothing but POST.
ACTIONS = ("enable", "disable", "delete", "remove", "priority")
CHANGES = [(kind, name) for kind, name in NAMES if name.removeprefix(f"{kind}_") in ACTIONS]
SERVER_CHANGES = [name for name in SERVER_NAMES if name.removeprefix("server_") in ACTIONS]


@pytest.fixture
def world(connector: Connector, server: Server) -> dict[str, str]:
    """Make one object of each kind; return kind → its id."""
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


def test_a_get_changes_nothing(
    subtests: pytest.Subtests, administrator_client: Client, world: dict[str, str]
) -> None:
    for kind, name in CHANGES:
        with subtests.test(kind=kind, name=name):
            before = everything()
            assert (
                administrator_client.get(reverse(f"connectors:{name}", args=[world[kind]])).status_code == 405
            )
            assert everything() == before


def test_a_get_changes_no_server(
    subtests: pytest.Subtests, administrator_client: Client, world: dict[str, str]
) -> None:
    for name in SERVER_CHANGES:
        with subtests.test(name=name):
            before = everything()
            url = reverse(f"connectors:{name}", args=[world["connector"], world["server"]])
            assert administrator_client.get(url).status_code == 405 and everything() == before


def test_a_viewer_changes_nothing(
    subtests: pytest.Subtests, viewer_client: Client, world: dict[str, str]
) -> None:
    for kind, name in CHANGES:
        with subtests.test(kind=kind, name=name):
            before = everything()
            assert viewer_client.post(reverse(f"connectors:{name}", args=[world[kind]])).status_code == 403
            assert everything() == before


def test_an_id_that_is_none_is_not_found(
    subtests: pytest.Subtests, administrator_client: Client, world: dict[str, str]
) -> None:
    for htmx in [True, False]:
        for kind, name in NAMES:
            with subtests.test(htmx=htmx, kind=kind, name=name):
                headers = {"HX-Request": "true", "HX-Target": "panel"} if htmx else {}
                for unknown in (f"{kind}-0000000000000000", "x", "a\0b"):
                    url = reverse(f"connectors:{name}", args=[unknown])
                    answers = [
                        getattr(administrator_client, verb)(url, headers=headers) for verb in ("get", "post")
                    ]
                    assert {answer.status_code for answer in answers} <= {404, 405} and answers[0] != answers[
                        1
                    ]
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
    # Pages that still show a server which is gone ask for its state: 286 tells them to stop.
    allowed = {286, 405} if name == "server_state" else {404, 405}
    assert {answer.status_code for answer in answers} <= allowed
    other.delete()
    assert everything() == before
