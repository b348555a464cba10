"""Forwarding Policies: marks on rows, priorities changed in place, tags, and pickers for thousands."""

from typing import Any

import pytest
from django.test import Client

from connectors import snapshot
from connectors.applications import services as applications
from connectors.fleet import services as fleet
from connectors.models import Connector, Policy, Tag
from connectors.policies import marks as policy_marks
from connectors.policies import services as policies
from console.core.errors import Invalid
from console.models import AuditRow, Cutover, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, ServerFactory
from tests.responses import words
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db
LIST = "/sase/policies/"


@pytest.fixture
def online(connector: Connector, gateway: Gateway) -> Connector:
    """Make the connector usable."""
    factories.tunnel(gateway, ServerFactory(connector=connector, heard=True))
    return connector


def marks(policy: Policy) -> policy_marks.Marks:
    return policy_marks.marks([policy.pk])[policy.pk]


def shadow(policy: Policy) -> str | None:
    named = marks(policy).shadowed_by
    return named.name if named else None


# --- Marks ------------------------------------------------------------------------------------------------------------


def test_a_policy_behind_one_that_covers_it_never_matches(viewer_client: Client, online: Connector) -> None:
    one, other = AccountFactory(), AccountFactory()
    group = factories.group(accounts=[one])
    wiki, mail = factories.application(tags=["web"]), factories.application()
    first = factories.policy(
        online, "first", all_users=False, groups=[group], accounts=[one], all_applications=False,
        applications=[wiki, mail],
    )  # fmt: skip
    behind: dict[str, Any] = {"priority": 20, "all_users": False, "all_applications": False}
    inside = factories.policy(online, accounts=[one], tags=[Tag.objects.get()], **behind)
    assert shadow(inside) == "first"
    wider = factories.policy(online, accounts=[one, other], applications=[wiki], **behind)
    assert shadow(wider) is None
    further = factories.policy(online, accounts=[one], applications=[factories.application()], **behind)
    assert shadow(further) is None
    everybody = factories.policy(online, priority=30)
    assert shadow(everybody) is None and shadow(first) is None
    page = viewer_client.get(LIST).text
    assert page.count("Never matches") == 1 and "first comes first and covers it" in page


def test_a_policy_that_is_passed_over_shadows_none(
    connector: Connector, online: Connector, gateway: Gateway
) -> None:
    away = ConnectorFactory()
    factories.policy(away, priority=1)
    off = factories.policy(online, priority=2)
    last = factories.policy(online, "last", priority=3)
    policies.policy_switch(policy=off, enabled=False, actor=ACTOR)
    assert shadow(last) is None
    factories.tunnel(gateway, ServerFactory(connector=away, heard=True))
    assert shadow(last) is not None
    fleet.connector_switch(connector=away, enabled=False, actor=ACTOR)
    assert shadow(last) is None


def test_ties_are_named_and_the_older_goes_first(viewer_client: Client, online: Connector) -> None:
    older, younger = factories.policy(online, "older"), factories.policy(online, "younger")
    factories.policy(online, "off", enabled=False)
    assert [each.name for each in marks(older).ties] == ["younger"]
    assert shadow(younger) == "older"
    assert "Same priority as older" in viewer_client.get(LIST).text


# --- Priorities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_a_priority_is_changed_in_the_list(operator_client: Client, connector: Connector, htmx: bool) -> None:
    first, second = factories.policy(connector, priority=10), factories.policy(connector, priority=20)
    headers = {"HX-Request": "true", "HX-Target": "page"} if htmx else {}
    answer = operator_client.post(f"{LIST}{second.pk}/priority/", {"priority": 5}, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    assert list(Policy.objects.values_list("pk", flat=True)) == [second.pk, first.pk]
    assert AuditRow.objects.get(verb="policy.update").after == {"priority": 5}


@pytest.mark.parametrize("priority", ["0", "101", "", "x", "1.5"])
def test_a_priority_that_is_not_legal_is_refused(
    operator_client: Client, connector: Connector, priority: str
) -> None:
    policy = factories.policy(connector)
    answer = operator_client.post(f"{LIST}{policy.pk}/priority/", {"priority": priority})
    assert answer.status_code == 400 and "from 1 to 100" in answer.text
    policy.refresh_from_db()
    assert policy.priority == 10


def test_from_the_details_of_a_connector_it_goes_back_there(
    operator_client: Client, connector: Connector
) -> None:
    policy = factories.policy(connector, "everybody")
    details = f"/sase/connectors/{connector.pk}/"
    page = operator_client.get(details).text
    assert "everybody" in page and f"{LIST}{policy.pk}/priority/" in page
    for action, data in (("priority", {"priority": 7}), ("disable", {}), ("enable", {})):
        answer = operator_client.post(f"{LIST}{policy.pk}/{action}/", data | {"next": details})
        assert answer["Location"] == details, action
    outside = operator_client.post(
        f"{LIST}{policy.pk}/priority/", {"priority": 8, "next": "https://evil.example/"}
    )
    assert outside["Location"] == LIST


# --- Tags -------------------------------------------------------------------------------------------------------------


def form(connector: Connector, **values: object) -> dict[str, object]:
    usual = {"name": "by tag", "priority": 10, "users": "all", "scope": "tags", "connector": connector.pk}
    return usual | {"enabled": "on"} | values


def test_a_policy_goes_by_tags_as_applications_carry_them(
    operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    wiki, mail = factories.application(tags=["web"]), factories.application()
    tag = Tag.objects.get()
    leftover = {"applications": [mail.pk], "tags": [tag.pk]}
    assert operator_client.post(f"{LIST}add/", form(connector, **leftover)).status_code == 302
    policy = Policy.objects.get()
    assert not policy.applications.exists(), "a selection left over beside tags is dropped"

    def sent() -> Any:
        return list(snapshot.part(gateway)["policies"][0].application_ids)

    assert sent() == [wiki.pk]
    applications.application_update(application=mail, tags=["web"], actor=ACTOR)
    assert sent() == sorted([wiki.pk, mail.pk])
    assert "1 tag" in operator_client.get(LIST).text
    applications.application_update(application=wiki, tags=[], actor=ACTOR)
    applications.application_update(application=mail, tags=[], actor=ACTOR)
    assert sent() == [] and Tag.objects.exists(), "a policy still names it"
    policies.policy_update(policy=policy, tags=[], all_applications=True, actor=ACTOR)
    assert not Tag.objects.exists()


def test_tags_and_applications_exclude_one_another(operator_client: Client, connector: Connector) -> None:
    wiki = factories.application(tags=["web"])
    with pytest.raises(Invalid, match="applications or tags, not both"):
        factories.policy(connector, all_applications=False, applications=[wiki], tags=list(Tag.objects.all()))
    answer = operator_client.post(f"{LIST}add/", form(connector))
    assert answer.status_code == 422 and "Choose at least one tag" in answer.text


def test_taking_a_tag_from_a_policy_cuts(connector: Connector) -> None:
    factories.application(tags=["a", "b"])
    tags = list(Tag.objects.order_by("name"))
    policy = factories.policy(connector, "p", all_applications=False, tags=tags)
    policies.policy_update(policy=policy, tags=tags[:1], actor=ACTOR)
    assert Cutover.objects.get().reason == "policy.update p"


def test_servers_learn_the_applications_of_tags(connector: Connector) -> None:
    from connectors.fleet import configuration as server_configuration

    wiki = factories.application(tags=["web"])
    factories.application()
    factories.policy(connector, all_applications=False, tags=list(Tag.objects.all()))
    server = ServerFactory(connector=connector)
    assert [each.id for each in server_configuration.build(server.pk).applications] == [wiki.pk]


# --- Pickers ----------------------------------------------------------------------------------------------------------


def test_a_picker_shows_some_and_finds_the_others(operator_client: Client, connector: Connector) -> None:
    many = [factories.application(f"app {number:02}") for number in range(30)]
    page = operator_client.get(f"{LIST}add/").text
    assert "app 19" in page and "app 20" not in page and "search to find them" in page
    found = operator_client.post(
        f"{LIST}pick/applications/", {"find_applications": "APP 2", "applications": [many[3].pk]}
    ).text
    assert "app 27" in found and "app 13" not in found
    assert f'value="{many[3].pk}" checked' in " ".join(found.split()), "what is chosen stays"


def test_without_scripts_find_shows_the_form_again_with_all_that_was_typed(
    operator_client: Client, connector: Connector
) -> None:
    many = [factories.application(f"app {number:02}") for number in range(30)]
    typed = form(connector, name="", scope="selected", applications=[many[25].pk])
    answer = operator_client.post(
        f"{LIST}add/", typed | {"find": "applications", "find_applications": "app 29"}
    )
    text = words(answer)
    assert answer.status_code == 200
    assert "app 29" in text and f'value="{many[25].pk}" checked' in text and "app 10" not in text
    assert "field-error" not in text and not Policy.objects.exists()


def test_one_that_the_picker_does_not_show_is_legal(operator_client: Client, connector: Connector) -> None:
    many = [factories.application(f"app {number:02}") for number in range(30)]
    answer = operator_client.post(
        f"{LIST}add/", form(connector, scope="selected", applications=[many[29].pk])
    )
    assert answer.status_code == 302
    assert Policy.objects.get().applications.get() == many[29]
    page = operator_client.get(f"{LIST}{Policy.objects.get().pk}/").text
    assert f'value="{many[29].pk}" checked' in " ".join(page.split())


def test_pickers_are_of_known_kinds(operator_client: Client) -> None:
    assert operator_client.post(f"{LIST}pick/users/").status_code == 404
