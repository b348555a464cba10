"""CCNs and their cloud networks."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.machines import config
from console.models import Cutover
from roaming.models import CCN
from tests.responses import words
from tests.roaming.answers import HTMX_DIALOG, HTMX_PANEL
from tests.roaming.factories import CCNFactory, InstanceFactory

pytestmark = pytest.mark.django_db


def test_it_is_added_to_the_chosen_area(operator_client: Client) -> None:
    operator_client.cookies["area"] = "singapore"
    response = operator_client.post(
        reverse("roaming:ccn_add"), {"name": "asia-backbone", "networks": "172.16.0.0/16\n172.17.0.0/16"}
    )
    assert response["Location"] == reverse("roaming:ccns")
    ccn = CCN.objects.get()
    assert (ccn.name, ccn.area_id) == ("asia-backbone", "singapore")
    assert [network.cidr for network in ccn.cloud_networks.all()] == ["172.16.0.0/16", "172.17.0.0/16"]


@pytest.mark.parametrize("headers", [{}, HTMX_PANEL], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "x"}, "Name must be 2–100 characters"),
        ({"name": "backbone"}, "A CCN of this name exists in the area already."),
        ({"networks": "172.16.0.1/16"}, "172.16.0.0/16 was probably meant."),
        ({"networks": "172.16.0.0/16 172.16.4.0/24"}, "172.16.4.0/24 overlaps 172.16.0.0/16"),
        ({"networks": "0.0.0.0/0"}, "too wide"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left_behind(
    operator_client: Client, wrong: dict[str, str], sentence: str, headers: dict[str, Any]
) -> None:
    CCNFactory(name="backbone")
    wish = {"name": "second", "networks": "172.16.0.0/16"} | wrong
    response = operator_client.post(reverse("roaming:ccn_add"), wish, headers=headers)
    assert response.status_code == 422
    assert sentence in response.text
    assert CCN.objects.count() == 1


def test_a_cloud_network_is_added_in_the_panel(operator_client: Client) -> None:
    ccn = CCNFactory()
    before = config.current().version
    url = reverse("roaming:network_add", args=[ccn.pk])
    response = operator_client.post(url, {"cidr": "172.16.0.0/16"}, headers=HTMX_PANEL)
    assert reverse("roaming:ccn", args=[ccn.pk]) in response["HX-Location"]
    assert ccn.cloud_networks.get().cidr == "172.16.0.0/16"
    assert config.current().version == before + 1


def test_a_cloud_network_that_overlaps_is_refused(operator_client: Client) -> None:
    ccn = CCNFactory(networks=["172.16.0.0/16"])
    url = reverse("roaming:network_add", args=[ccn.pk])
    response = operator_client.post(url, {"cidr": "172.16.9.0/24"})
    assert response.status_code == 422
    assert "172.16.9.0/24 overlaps 172.16.0.0/16, which the CCN holds already." in response.text


def test_removing_a_cloud_network_cuts(operator_client: Client) -> None:
    ccn = CCNFactory(networks=["172.16.0.0/16"])
    InstanceFactory(ccn=ccn)
    network = ccn.cloud_networks.get()
    question = operator_client.get(reverse("roaming:network_confirm_remove", args=[ccn.pk, network.pk]))
    assert "Users of 1 instance can no longer reach 172.16.0.0/16" in words(question)
    url = reverse("roaming:network_remove", args=[ccn.pk, network.pk])
    response = operator_client.post(url, headers=HTMX_DIALOG)
    assert reverse("roaming:ccn", args=[ccn.pk]) in response["HX-Location"]
    assert not ccn.cloud_networks.exists()
    assert Cutover.objects.get().target == ccn.pk


def test_a_bound_ccn_stays(operator_client: Client) -> None:
    ccn = CCNFactory()
    instance = InstanceFactory(ccn=ccn)
    response = operator_client.post(reverse("roaming:ccn_delete", args=[ccn.pk]))
    assert response.status_code == 409
    assert f"is bound to the instance {instance.name} ({instance.pk})" in response.text
    instance.delete()
    assert operator_client.post(reverse("roaming:ccn_delete", args=[ccn.pk])).status_code == 302
    assert not CCN.objects.exists()
