"""Choosing client accounts among many: searched for and ticked, or written down; the same for groups and policies."""

import re
from html import unescape

import pytest
from django.test import Client

from connectors.models import Connector, Policy, UserGroup
from roaming.models import ClientAccount
from tests.connectors import factories
from tests.responses import Response
from tests.roaming.factories import AccountFactory

pytestmark = pytest.mark.django_db
GROUP = {"name": "staff", "description": "", "rules": ""}
FORMS = ("/sase/groups/add/", "/sase/policies/add/")


@pytest.fixture
def anna() -> ClientAccount:
    return AccountFactory(username="anna.berg", email="anna@north.example")


@pytest.fixture
def bob() -> ClientAccount:
    return AccountFactory(username="bob.tan1", email="bob@south.example")


def boxes(answer: Response, *, checked: bool) -> list[str]:
    """The ids of the accounts that can be ticked, or are."""
    found = re.findall(r'<input type="checkbox"\s+name="accounts"\s+value="([^"]+)"([^>]*)>', answer.text)
    return [value for value, rest in found if ("checked" in rest) == checked]


@pytest.mark.parametrize("url", FORMS)
def test_nobody_is_listed_before_a_search(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount, url: str
) -> None:
    answer = operator_client.get(url)
    assert not boxes(answer, checked=False) and not boxes(answer, checked=True)
    assert 'name="find_accounts"' in answer.text


@pytest.mark.parametrize("text", ["ANNA", "north.example", "anna.berg@sag-", "  nna.b "])
def test_a_search_by_a_part_of_name_or_email_finds_and_keeps_what_is_ticked(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount, text: str
) -> None:
    given = {"accounts": [bob.pk], "find_accounts": text}
    answer = operator_client.post("/sase/policies/pick/accounts/", given, headers={"HX-Request": "true"})
    assert boxes(answer, checked=True) == [bob.pk] and boxes(answer, checked=False) == [anna.pk]
    assert f"anna.berg@{anna.instance_id}" in answer.text


def test_it_is_found_by_its_id_as_well(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount
) -> None:
    answer = operator_client.post("/sase/policies/pick/accounts/", {"find_accounts": anna.pk})
    assert boxes(answer, checked=False) == [anna.pk]


def test_what_nobody_is_called_is_said(operator_client: Client, anna: ClientAccount) -> None:
    text = operator_client.post("/sase/policies/pick/accounts/", {"find_accounts": "zzz"}).text
    assert "No other client account holds “zzz”." in unescape(text)


def test_many_matches_end_with_a_hint(operator_client: Client, anna: ClientAccount) -> None:
    for number in range(22):
        AccountFactory(instance=anna.instance if number < 5 else AccountFactory().instance)
    answer = operator_client.post("/sase/policies/pick/accounts/", {"find_accounts": "example.org"})
    assert len(boxes(answer, checked=False)) == 20 and "There are more; search to find them." in answer.text


@pytest.mark.parametrize("url", FORMS)
def test_without_a_script_find_shows_the_form_again_with_everything_typed(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount, url: str
) -> None:
    typed = {
        "name": "half done",
        "accounts": [bob.pk, "who@sag-x"],
        "find_accounts": "anna",
        "find": "accounts",
    }
    answer = operator_client.post(url, typed)
    text = unescape(answer.text)
    assert answer.status_code == 200 and 'value="half done"' in text and "who@sag-x" in text
    assert boxes(answer, checked=True) == [bob.pk] and boxes(answer, checked=False) == [anna.pk]
    assert not UserGroup.objects.exists() and not Policy.objects.exists()


def test_ticked_and_written_accounts_are_taken_together(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount
) -> None:
    form = GROUP | {"accounts": [anna.pk, f"\nBOB.tan1@{bob.instance_id}\n{anna.pk}"]}
    assert operator_client.post("/sase/groups/add/", form).status_code == 302
    assert set(UserGroup.objects.get().accounts.all()) == {anna, bob}


def test_an_edit_shows_who_is_chosen_and_an_unticked_one_is_out(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount, connector: Connector
) -> None:
    group = factories.group("staff", accounts=[anna, bob])
    policy = factories.policy(connector, "one", all_users=False, accounts=[anna, bob])
    for url in (f"/sase/groups/{group.pk}/", f"/sase/policies/{policy.pk}/"):
        assert boxes(operator_client.get(url), checked=True) == [anna.pk, bob.pk]
    answer = operator_client.post(f"/sase/groups/{group.pk}/", GROUP | {"accounts": [bob.pk]})
    assert answer.status_code == 302
    assert list(group.accounts.all()) == [bob]
    form = {"name": "one", "priority": "10", "users": "selected", "scope": "all", "connector": connector.pk}
    answer = operator_client.post(f"/sase/policies/{policy.pk}/", form | {"accounts": [anna.pk]})
    assert answer.status_code == 302 and list(policy.accounts.all()) == [anna]


def test_a_line_that_names_nobody_is_said_by_its_number_and_all_stays(
    operator_client: Client, anna: ClientAccount, bob: ClientAccount
) -> None:
    form = GROUP | {"accounts": [anna.pk, f"bob.tan1@{bob.instance_id}\nnobody"]}
    answer = operator_client.post("/sase/groups/add/", form)
    text = unescape(answer.text)
    assert answer.status_code == 422 and "Line 2: there is no client account “nobody”." in text
    assert boxes(answer, checked=True) == [anna.pk] and f"bob.tan1@{bob.instance_id}\nnobody" in text


def test_an_account_that_is_gone_is_named(operator_client: Client, anna: ClientAccount) -> None:
    answer = operator_client.post(
        "/sase/groups/add/", GROUP | {"accounts": [anna.pk, "user-0123456789abcdef"]}
    )
    assert answer.status_code == 422
    assert "There is no client account “user-0123456789abcdef” (any more)." in unescape(answer.text)


def test_more_than_2000_by_name_are_refused(operator_client: Client) -> None:
    answer = operator_client.post("/sase/groups/add/", GROUP | {"accounts": ["a@sag-x\n" * 2001]})
    assert "At most 2,000 accounts by name; describe the others by rules." in unescape(answer.text)
