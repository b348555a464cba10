"""License: how many connectors, until when; what happens beyond either."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors import snapshot
from connectors.fleet import licensing, services
from connectors.models import Connector, License
from console.core.errors import Conflict
from console.models import AuditRow, Cutover, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory
from tests.responses import words

pytestmark = pytest.mark.django_db
URL = "/sase/connectors/license/"


def days(number: int) -> str:
    return (timezone.now().date() + timedelta(days=number)).isoformat()


def details(client: Client, connector: Connector) -> str:
    return words(client.get(f"/sase/connectors/{connector.pk}/"))


def licensed(gateway: Gateway, connector: Connector) -> bool:
    return snapshot.part(gateway)["connectors"][connector.pk].licensed


def test_a_new_installation_may_have_ten_connectors_without_an_end(
    viewer_client: Client, connector: Connector
) -> None:
    assert License.objects.get().valid_until is None
    text = details(viewer_client, connector)
    assert "Authorized" in text and "1 of 10 connectors, no end" in text
    assert URL not in text, "only administrators modify it"


@pytest.mark.parametrize("htmx", [False, True])
def test_an_administrator_enters_another(
    administrator_client: Client, connector: Connector, htmx: bool
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "dialog"} if htmx else {}
    assert URL in details(administrator_client, connector)
    answer = administrator_client.post(URL, {"connectors": 20, "valid_until": days(30)}, headers=headers)
    assert answer.status_code == (200 if htmx else 302)
    assert (License.objects.get().connectors, str(License.objects.get().valid_until)) == (20, days(30))
    assert AuditRow.objects.get(verb="license.update").after == {"connectors": 20, "valid_until": days(30)}
    assert not Cutover.objects.exists()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"connectors": ""}, "whole number from 1"),
        ({"connectors": "0"}, "whole number from 1"),
        ({"connectors": "ten"}, "whole number from 1"),
        ({"connectors": "1"}, "There are 2 connectors"),
        ({"connectors": "5", "valid_until": "tomorrow"}, "YYYY-MM-DD"),
    ],
)
def test_a_bad_field_is_named(administrator_client: Client, form: dict[str, str], sentence: str) -> None:
    ConnectorFactory.create_batch(2)
    answer = administrator_client.post(URL, form)
    assert answer.status_code == 422 and sentence in answer.text
    assert License.objects.get().connectors == 10


def test_beyond_the_number_no_connector_is_added(operator_client: Client, connector: Connector) -> None:
    services.license_update(connectors=1, valid_until=None, actor=ACTOR)
    form = {"name": "second", "region": "cn-shanghai", "enabled": "on"}
    answer = operator_client.post("/sase/connectors/add/", form)
    assert answer.status_code == 422
    assert "allows 1 connector, and there is 1" in answer.text
    assert not Connector.objects.filter(name="second").exists()
    assert "Limit reached" in details(operator_client, connector)
    services.connector_delete(connector=connector, actor=ACTOR)
    assert operator_client.post("/sase/connectors/add/", form).status_code == 302


def test_the_last_day_still_counts(connector: Connector, gateway: Gateway) -> None:
    services.license_update(connectors=10, valid_until=timezone.now().date(), actor=ACTOR)
    assert licensing.state().word == "Authorized" and licensed(gateway, connector)


def test_entering_an_expired_license_cuts_at_once(
    administrator_client: Client, operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    administrator_client.post(URL, {"connectors": 10, "valid_until": days(-1)})
    assert Cutover.objects.get().reason == "license.expire" and not licensed(gateway, connector)
    text = details(operator_client, connector)
    assert "Expired" in text and "Gateways pass over every connector" in text
    with pytest.raises(Conflict, match="license expired"):
        services.connector_create(name="new", region=factories.region(), actor=ACTOR)
    factories.policy(connector)
    page = operator_client.get("/sase/policies/").text
    assert "License expired: passed over" in page
    administrator_client.post(URL, {"connectors": 10, "valid_until": ""})
    assert licensed(gateway, connector) and services.license_expire() == 0


def test_gateways_are_told_once_when_the_last_day_is_over(connector: Connector, gateway: Gateway) -> None:
    assert services.license_expire() == 0
    License.objects.update(valid_until=timezone.now().date() - timedelta(days=1))
    assert services.license_expire() == 1 and services.license_expire() == 0
    assert Cutover.objects.get().reason == "license.expire" and not licensed(gateway, connector)
