"""Rules of user groups: whom they describe, who is shown, and what gateways are told when accounts change."""

import re

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from connectors import snapshot
from connectors.models import Connector, GroupRule, UserGroup
from connectors.policies import membership, services
from connectors.policies.membership import Rule
from console.core.errors import Invalid
from console.machines import config
from console.models import Gateway
from roaming.accounts import services as accounts
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.connectors.factories import ACTOR
from tests.queries import queries
from tests.roaming.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
FORM = {"name": "staff", "description": "", "accounts": "", "rules": ""}


@pytest.fixture
def people(db: None) -> dict[str, ClientAccount]:
    shanghai, singapore = InstanceFactory(), InstanceFactory(region_id="ap-southeast-1")
    made = [
        AccountFactory(instance=shanghai, username="anna.berg", email="anna@corp.example"),
        AccountFactory(instance=shanghai, username="Anna.Chen", email="chen@partner.example"),
        AccountFactory(instance=singapore, username="bob.tan1", email="bob@corp.example"),
    ]
    return {account.username.lower(): account for account in made}


def described(*rules: Rule) -> set[str]:
    shown = membership.preview([], rules).shown
    return {text.partition("@")[0] for text in shown}


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (("username", "Equal", "ANNA.berg"), {"anna.berg"}),
        (("username", "Equal", "anna.*"), {"anna.berg", "anna.chen"}),
        (("username", "Equal", "*.*n*"), {"anna.chen", "bob.tan1"}),
        (("username", "Unequal", "anna.*"), {"bob.tan1"}),
        (("email", "Equal", "*@corp.example"), {"anna.berg", "bob.tan1"}),
        (("email", "Unequal", "bob@corp.example"), {"anna.berg", "anna.chen"}),
        (("area", "Equal", "singapore"), {"bob.tan1"}),
        (("area", "Equal", "Mainland*"), {"anna.berg", "anna.chen"}),
        (("area", "Unequal", "Singapore"), {"anna.berg", "anna.chen"}),
        (("username", "Equal", "anna[.]berg"), set()),
    ],
)
def test_whom_a_rule_describes(
    people: dict[str, ClientAccount], rule: tuple[str, str, str], names: set[str]
) -> None:
    assert described(Rule(*rule)) == names


def test_an_instance_is_named_by_its_id(people: dict[str, ClientAccount]) -> None:
    instance = people["bob.tan1"].instance_id
    assert described(Rule("instance", "Equal", instance)) == {"bob.tan1"}
    assert described(Rule("instance", "Unequal", instance)) == {"anna.berg", "anna.chen"}


def test_one_rule_of_several_is_enough(people: dict[str, ClientAccount]) -> None:
    rules = Rule("username", "Equal", "bob.tan1"), Rule("email", "Equal", "*@partner.example")
    assert described(*rules) == {"bob.tan1", "anna.chen"}


@given(value=st.text("ab*.", min_size=1, max_size=8), text=st.text("ab.", max_size=8))
def test_a_star_stands_for_any_text_and_nothing_else_is_special(value: str, text: str) -> None:
    expected = re.fullmatch(re.escape(value).replace(r"\*", ".*"), text) is not None
    areas: dict[str, set[str]] = {}
    person = membership.Person("user-1", text, "", "sag-1")
    assert membership.Description([Rule("username", "Equal", value)], areas).holds(person) is expected
    assert membership.Description([Rule("username", "Unequal", value)], areas).holds(person) is not expected


# --- The panel --------------------------------------------------------------------------------------------------------


def test_a_group_is_created_with_rules_and_shows_them_again(
    operator_client: Client, people: dict[str, ClientAccount]
) -> None:
    rules = "email equal *@corp.example\n\nusername Unequal anna.*"
    assert operator_client.post("/sase/groups/add/", FORM | {"rules": rules}).status_code == 302
    group = UserGroup.objects.get()
    assert [str(rule) for rule in group.rules.all()] == [
        "email Equal *@corp.example",
        "username Unequal anna.*",
    ]
    page = operator_client.get(f"/sase/groups/{group.pk}/").text
    assert "email Equal *@corp.example\nusername Unequal anna.*" in page


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("email Equal a\nphone Equal 1", "Line 2: begin with one of username, email, instance, area"),
        ("email Like a", "Line 1: after email write Equal or Unequal"),
        ("email Equal", "Line 1: end with a value"),
        ("email Equal a\nemail equal a", "Line 2: this rule was given before, in line 1"),
        ("email Equal " + "x" * 129, "Line 1: end with a value of 1 to 128"),
    ],
)
def test_a_rule_that_is_not_legal_is_refused_by_its_line(
    operator_client: Client, rules: str, sentence: str
) -> None:
    answer = operator_client.post("/sase/groups/add/", FORM | {"rules": rules})
    assert answer.status_code == 422 and sentence in answer.text
    assert not UserGroup.objects.exists()


def test_the_service_refuses_what_no_form_checked() -> None:
    with pytest.raises(Invalid, match="phone"):
        services.group_create(name="x", rules=[Rule("phone", "Equal", "1")], actor=ACTOR)
    many = [Rule("username", "Equal", f"u{number}") for number in range(3001)]
    with pytest.raises(Invalid, match="at most 3,000 rules"):
        services.group_create(name="x", rules=many, actor=ACTOR)


def test_a_preview_counts_and_shows_and_writes_nothing(
    operator_client: Client, people: dict[str, ClientAccount]
) -> None:
    one = people["bob.tan1"]
    form = FORM | {"rules": "username Equal anna.*", "accounts": one.pk, "preview": "1"}
    text = operator_client.post("/sase/groups/add/", form).text
    assert "3 accounts would be in" in text and f"bob.tan1@{one.instance_id}" in text
    assert not UserGroup.objects.exists()
    bad = operator_client.post("/sase/groups/add/", form | {"rules": "nonsense"})
    assert bad.status_code == 422 and "Line 1" in bad.text


def test_a_preview_shows_the_first_fifty(operator_client: Client) -> None:
    instance = InstanceFactory(account_quota=60)
    for number in range(52):
        AccountFactory(instance=instance, username=f"person.{number:03}")
    form = FORM | {"rules": "username Equal person.*", "preview": "1"}
    text = operator_client.post("/sase/groups/add/", form).text
    assert "52 accounts would be in" in text and "first 50" in text
    assert "person.049" in text and "person.050" not in text


# --- What gateways are told -------------------------------------------------------------------------------------------


def members(gateway: Gateway, group: UserGroup) -> set[str]:
    return set(snapshot.part(gateway)["groups"][group.pk])


def test_named_and_described_accounts_are_in_the_snapshot(
    connector: Connector, gateway: Gateway, people: dict[str, ClientAccount]
) -> None:
    group = factories.group(accounts=[people["bob.tan1"]], rules=[Rule("username", "Equal", "anna.b*")])
    factories.policy(connector, all_users=False, groups=[group])
    assert members(gateway, group) == {people["bob.tan1"].pk, people["anna.berg"].pk}


def test_an_account_that_comes_or_changes_is_told_at_once(
    connector: Connector, gateway: Gateway, people: dict[str, ClientAccount]
) -> None:
    group = factories.group(rules=[Rule("email", "Equal", "*@corp.example")])
    factories.policy(connector, all_users=False, groups=[group])
    version = config.current().version
    new = AccountFactory(email="new@corp.example")
    assert config.current().version > version and new.pk in members(gateway, group)
    version = config.current().version
    accounts.account_update(account=new, email="new@gone.example", bandwidth_kbps=2000, actor=ACTOR)
    assert config.current().version > version and new.pk not in members(gateway, group)


def test_without_rules_in_force_a_new_account_is_no_news() -> None:
    instance = InstanceFactory()
    factories.group(rules=[Rule("email", "Equal", "*")])
    version = config.current().version
    AccountFactory(instance=instance)
    assert config.current().version == version


def test_the_number_of_queries_does_not_grow_with_groups(
    connector: Connector, gateway: Gateway, people: dict[str, ClientAccount]
) -> None:
    def grow(number: int) -> None:
        for _ in range(number):
            group = factories.group(rules=[Rule("email", "Equal", "*@corp.example")])
            factories.policy(connector, all_users=False, groups=[group])

    grow(2)
    few = len(queries(snapshot.part, gateway))
    grow(6)
    assert len(queries(snapshot.part, gateway)) == few and GroupRule.objects.count() == 8
