"""Applications, user groups and forwarding policies: what people write and what becomes of it."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from connectors.applications import services as applications
from connectors.models import Application, ApplicationAddress, ApplicationPorts, Connector, Policy, UserGroup
from connectors.policies import services as policies
from console.core.errors import Invalid
from console.machines import config
from console.models import AuditRow, Cutover
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db

APPLICATION = {
    "name": "wiki",
    "description": "The wiki",
    "protocol": "TCP",
    "addresses": "Wiki.corp.example\n*.docs.corp.example\n10.0.0.0/8",
    "ports": "443, 80, 8000-8010",
    "origin": "",
    "enabled": "on",
}
Form = dict[str, Any]


def cuts() -> list[str]:
    return list(Cutover.objects.order_by("id").values_list("reason", flat=True))


# --- Applications -----------------------------------------------------------------------------------------------------


def test_an_application_is_added(operator_client: Client) -> None:
    before = config.current().servers_version
    assert operator_client.post("/sase/applications/add/", APPLICATION).status_code == 302
    application = Application.objects.get()
    addresses = [address.address for address in application.addresses.all()]
    assert addresses == ["wiki.corp.example", "*.docs.corp.example", "10.0.0.0/8"]
    assert list(application.ports.values_list("begin", "end")) == [(80, 80), (443, 443), (8000, 8010)]
    assert (application.origin, application.enabled) == (None, True)
    assert config.current().servers_version == before + 1
    assert AuditRow.objects.get(verb="application.create").after["ports"] == "80, 443, 8000-8010"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("addresses", "ok.example\nnot ok", "Line 2:"),
        ("addresses", "127.0.0.1", "only for an application with an origin"),
        ("addresses", "", "at least one address"),
        ("ports", "80,x", "from 1 to 65535"),
        ("origin", "a b", "not a host or host:port"),
        ("protocol", "ICMP", "valid choice"),
        ("name", "x" * 129, "at most 128"),
        ("name", "a\u202eb", "control characters"),
        ("description", "x" * 129, "at most 128"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(
    operator_client: Client, field: str, value: str, sentence: str
) -> None:
    answer = operator_client.post("/sase/applications/add/", APPLICATION | {field: value})
    assert answer.status_code == 422 and sentence in answer.text
    assert f"id_{field}" in answer.text
    assert not Application.objects.exists()


def test_more_than_a_thousand_addresses_are_refused(operator_client: Client) -> None:
    many = "\n".join(f"host{number}.example" for number in range(1001))
    answer = operator_client.post("/sase/applications/add/", APPLICATION | {"addresses": many})
    assert answer.status_code == 422 and "at most 1,000 addresses" in answer.text


def test_an_edit_cuts_only_when_it_takes_something_away(operator_client: Client) -> None:
    application = factories.application("wiki", addresses=["a.example"], ports=[(80, 89)])
    url = f"/sase/applications/{application.pk}/"
    wider = APPLICATION | {"addresses": "a.example\nb.example", "ports": "80-99"}
    assert operator_client.post(url, wider).status_code == 302
    assert cuts() == []
    operator_client.post(url, wider | {"ports": "85-99"})
    assert cuts() == ["application.update wiki"]
    operator_client.post(url, wider | {"ports": "85-99", "addresses": "b.example"})
    assert len(cuts()) == 2
    version = config.current().version
    operator_client.post(url, wider | {"ports": "85-99", "addresses": "b.example"})
    assert config.current().version == version, "an edit that changes nothing is none"


def test_taking_the_origin_away_from_a_loopback_application_is_refused() -> None:
    application = factories.application(addresses=["127.0.0.1"], origin="127.0.0.1:80")
    with pytest.raises(Invalid, match="only for an application with an origin"):
        applications.application_update(application=application, origin=None, actor=ACTOR)
    application.refresh_from_db()
    assert application.origin == "127.0.0.1:80"


def test_an_application_is_switched_and_deleted(operator_client: Client, connector: Connector) -> None:
    application = factories.application("wiki")
    policy = factories.policy(connector, all_applications=False, applications=[application], name="wiki way")
    base = f"/sase/applications/{application.pk}"
    assert operator_client.get(f"{base}/confirm-disable/").status_code == 200
    assert operator_client.post(f"{base}/disable/").status_code == 302
    assert operator_client.post(f"{base}/disable/").status_code == 409
    assert operator_client.post(f"{base}/enable/").status_code == 302
    refused = operator_client.post(f"{base}/delete/")
    assert refused.status_code == 409 and "wiki way" in refused.text
    policies.policy_update(policy=policy, applications=[], actor=ACTOR)
    assert operator_client.post(f"{base}/delete/").status_code == 302
    assert not Application.objects.exists()


def test_ranges_of_ports_do_not_overlap_and_the_database_knows_their_limits() -> None:
    application = factories.application(ports=[(80, 90)])
    with pytest.raises(Exception, match="Ports 85 overlap ports 80-90"):
        ApplicationPorts(application=application, begin=85, end=85).full_clean()
    for begin, end in ((0, 1), (5, 4), (1, 65536)):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApplicationPorts.objects.bulk_create(
                [ApplicationPorts(application=application, begin=begin, end=end)]
            )
    with pytest.raises(IntegrityError), transaction.atomic():
        address = application.addresses.get().address
        ApplicationAddress.objects.bulk_create([ApplicationAddress(application=application, address=address)])


# --- Forwarding policies ----------------------------------------------------------------------------------------------


@pytest.fixture
def policy_form(connector: Connector) -> Form:
    application = factories.application("wiki")
    return {
        "name": "staff",
        "description": "",
        "priority": "10",
        "users": "all",
        "scope": "selected",
        "applications": [application.pk],
        "connector": connector.pk,
        "enabled": "on",
    }


def test_a_policy_is_created(operator_client: Client, policy_form: Form) -> None:
    assert operator_client.post("/sase/policies/add/", policy_form).status_code == 302
    policy = Policy.objects.get()
    assert (policy.all_users, policy.all_applications) == (True, False)
    assert (policy.priority, policy.enabled) == (10, True)
    assert [application.name for application in policy.applications.all()] == ["wiki"]


def test_groups_and_accounts_are_selected_users(operator_client: Client, policy_form: Form) -> None:
    account, group = AccountFactory(), factories.group("staff")
    named = f"{account.username.upper()}@{account.instance_id}\n{account.pk}\n"
    form = policy_form | {"users": "selected", "groups": [group.pk], "accounts": named}
    assert operator_client.post("/sase/policies/add/", form).status_code == 302
    policy = Policy.objects.get()
    assert list(policy.accounts.all()) == [account] and list(policy.groups.all()) == [group]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"priority": "0"}, "from 1 to 100"),
        ({"priority": "101"}, "from 1 to 100"),
        ({"priority": "1.5"}, "from 1 to 100"),
        ({"priority": ""}, "from 1 to 100"),
        ({"users": "selected"}, "at least one user group or client account"),
        ({"users": "selected", "accounts": "nobody@sag-none"}, "Line 1: there is no client account"),
        ({"applications": []}, "at least one application"),
        ({"connector": "connector-0"}, "one of the list"),
        ({"connector": ""}, "required"),
        ({"name": ""}, "required"),
    ],
)
def test_a_bad_policy_is_refused(
    operator_client: Client, policy_form: Form, changes: dict[str, Any], sentence: str
) -> None:
    answer = operator_client.post("/sase/policies/add/", policy_form | changes)
    assert answer.status_code == 422 and sentence in answer.text
    assert not Policy.objects.exists()


def test_the_list_is_in_evaluation_order_and_marks_what_is_passed_over(
    operator_client: Client, connector: Connector
) -> None:
    off = ConnectorFactory(enabled=False)
    for name, priority, by in (("late", 50, connector), ("first", 1, off), ("tie", 50, connector)):
        factories.policy(by, name=name, priority=priority)
    text = operator_client.get("/sase/policies/").text
    places = [text.index(f">{name}</a>") for name in ("first", "late", "tie")]
    assert places == sorted(places)
    assert text.count("Disabled: passed over") == 1 and text.count("Offline: passed over") == 2


def test_an_edit_that_narrows_cuts_and_one_that_widens_does_not(connector: Connector) -> None:
    wiki, mail = factories.application("wiki"), factories.application("mail")
    policy = factories.policy(connector, all_applications=False, applications=[wiki])
    policies.policy_update(policy=policy, applications=[wiki, mail], name="renamed", priority=3, actor=ACTOR)
    assert cuts() == []
    policies.policy_update(policy=policy, applications=[mail], actor=ACTOR)
    policies.policy_update(policy=policy, applications=[], all_applications=True, actor=ACTOR)
    policies.policy_update(policy=policy, connector=ConnectorFactory(), actor=ACTOR)
    policies.policy_update(policy=policy, all_users=False, actor=ACTOR)
    assert len(cuts()) == 3
    policies.policy_switch(policy=policy, enabled=False, actor=ACTOR)
    policies.policy_update(policy=policy, all_applications=False, actor=ACTOR)
    policies.policy_delete(policy=policy, actor=ACTOR)
    assert len(cuts()) == 4, "what is disabled allows nothing, so nothing is cut"


def test_all_together_with_a_selection_is_refused(connector: Connector) -> None:
    wiki = factories.application("wiki")
    with pytest.raises(Invalid, match="covers all applications"):
        factories.policy(connector, applications=[wiki])


def test_a_policy_is_edited_switched_and_deleted(operator_client: Client, policy_form: Form) -> None:
    operator_client.post("/sase/policies/add/", policy_form)
    policy = Policy.objects.get()
    base = f"/sase/policies/{policy.pk}"
    answer = operator_client.post(f"{base}/", policy_form | {"scope": "all", "priority": "7"})
    assert answer.status_code == 302
    policy.refresh_from_db()
    assert (policy.priority, policy.all_applications, policy.enabled) == (7, True, True)
    assert operator_client.get(f"{base}/confirm-disable/").status_code == 200
    assert operator_client.post(f"{base}/disable/").status_code == 302
    assert operator_client.post(f"{base}/disable/").status_code == 409
    assert operator_client.post(f"{base}/enable/").status_code == 302
    assert operator_client.post(f"{base}/delete/").status_code == 302
    assert not Policy.objects.exists()


@pytest.mark.parametrize("priority", [0, 101])
def test_the_database_itself_refuses_a_priority_out_of_range(connector: Connector, priority: int) -> None:
    with pytest.raises(Invalid, match="from 1 to 100"):
        factories.policy(connector, priority=priority)
    with pytest.raises(IntegrityError), transaction.atomic():
        Policy.objects.bulk_create([Policy(name="x", priority=priority, connector=connector)])


# --- User groups ------------------------------------------------------------------------------------------------------


def test_a_group_is_created_edited_and_deleted(operator_client: Client, connector: Connector) -> None:
    account = AccountFactory()
    form = {"name": "staff", "description": "", "accounts": f"{account.username}@{account.instance_id}"}
    assert operator_client.post("/sase/groups/add/", form).status_code == 302
    group = UserGroup.objects.get()
    assert list(group.accounts.all()) == [account]
    assert operator_client.post(f"/sase/groups/{group.pk}/", form | {"accounts": ""}).status_code == 302
    assert not group.accounts.exists() and cuts() == ["user_group.update staff"]
    policy = factories.policy(connector, all_users=False, groups=[group], name="for staff")
    refused = operator_client.post(f"/sase/groups/{group.pk}/delete/")
    assert refused.status_code == 409 and "for staff" in refused.text
    policies.policy_delete(policy=policy, actor=ACTOR)
    assert operator_client.post(f"/sase/groups/{group.pk}/delete/").status_code == 302
