"""Creating an instance, in the panel and without JavaScript."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.machines import config
from console.models import AuditRow
from roaming.models import Instance
from tests.roaming.answers import HTMX_PANEL
from tests.roaming.factories import CCNFactory, InstanceFactory

pytestmark = pytest.mark.django_db
URL = reverse("roaming:instance_add")
WISH = {
    "region": "cn-shanghai",
    "name": "shanghai-office",
    "account_quota": 20,
    "cidrs": "10.0.0.0/24\r\n10.0.1.0/24",
}


def test_it_is_created_with_its_blocks(operator_client: Client) -> None:
    ccn = CCNFactory()
    before = config.current().version
    response = operator_client.post(URL, WISH | {"ccn": ccn.pk, "dns1": "10.0.0.53"})
    assert response.status_code == 302
    assert response["Location"] == reverse("roaming:instances")
    instance = Instance.objects.get()
    assert instance.pk.startswith("sag-")
    assert len(instance.pk) == 22
    assert [str(block) for block in instance.blocks()] == ["10.0.0.0/24", "10.0.1.0/24"]
    assert (instance.ccn, instance.dns1, instance.account_quota) == (ccn, "10.0.0.53", 20)
    row = AuditRow.objects.get(verb="instance.create")
    assert (row.actor, row.target) == ("operator", instance.pk)
    assert config.current().version == before + 1


def test_htmx_is_told_where_to_go(operator_client: Client) -> None:
    response = operator_client.post(URL, WISH, headers=HTMX_PANEL)
    assert response.status_code == 200
    assert reverse("roaming:instances") in response["HX-Location"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "1st"}, "Name must be 2–128 characters"),
    ({"description": "https://example.org"}, "Description must be 2–256 characters"),
    ({"account_quota": 0}, "Account quota must be 1–1,000,000."),
    ({"account_quota": 10**30}, "Account quota must be 1–1,000,000."),
    ({"account_quota": "many"}, "Enter a whole number."),
    ({"cidrs": "10.0.0.5/24"}, "10.0.0.0/24 was probably meant."),
    ({"cidrs": "10.0.0.0/24, 10.0.0.0/25"}, "10.0.0.0/24 and 10.0.0.0/25 overlap."),
    ({"cidrs": "10.0.0.0/28"}, "The blocks hold 14 usable addresses, fewer than the quota of 20"),
    ({"region": "ap-southeast-1"}, "Select a valid choice."),
    ({"dns1": "example.org"}, "Enter a valid IPv4 address."),
    ({"dns2": "10.0.0.53"}, "A standby DNS server needs a first one."),
    ({"name": "a\0b"}, "Null characters are not allowed."),
]


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
def test_what_is_wrong_is_said_and_the_input_kept(
    operator_client: Client, headers: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for wrong, sentence in WRONG:
        with subtests.test(wrong=wrong):
            response = operator_client.post(URL, WISH | wrong, headers=headers)
            assert response.status_code == 422
            assert sentence in response.text
            assert "10.0.0" in response.text
            assert not Instance.objects.exists()


def test_white_space_around_a_name_is_no_mistake(operator_client: Client) -> None:
    operator_client.post(URL, WISH | {"name": "name\n"})
    assert Instance.objects.get().name == "name"


def test_a_ccn_of_another_area_is_refused(operator_client: Client) -> None:
    response = operator_client.post(URL, WISH | {"ccn": CCNFactory(area_id="singapore").pk})
    assert response.status_code == 422
    assert not Instance.objects.exists()


def test_the_list_shows_the_chosen_area_only(operator_client: Client) -> None:
    here, there = InstanceFactory(), InstanceFactory(region_id="ap-southeast-1")
    listed = operator_client.get(reverse("roaming:instances")).text
    assert here.pk in listed
    assert there.pk not in listed
    operator_client.cookies["area"] = "singapore"
    listed = operator_client.get(reverse("roaming:instances")).text
    assert there.pk in listed
    assert here.pk not in listed
