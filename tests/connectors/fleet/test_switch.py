"""Instance Switch: off cuts and is confirmed by the gateways, on lets in again."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from connectors.fleet import cuts, services
from connectors.models import Connector
from console.core.errors import Conflict
from console.models import AuditRow, Cutover, Gateway
from tests.connectors import factories
from tests.connectors.factories import ACTOR
from tests.console.factories import GatewayFactory
from tests.responses import words

pytestmark = pytest.mark.django_db


def url(connector: Connector, action: str) -> str:
    return f"/sase/connectors/{connector.pk}/{action}/"


def test_off_and_on_again_by_plain_posts(operator_client: Client, connector: Connector) -> None:
    answer = operator_client.post(url(connector, "disable"))
    connector.refresh_from_db()
    assert (answer.status_code, answer["Location"], connector.enabled) == (302, "/sase/connectors/", False)
    operator_client.post(url(connector, "enable"))
    connector.refresh_from_db()
    assert connector.enabled
    verbs = AuditRow.objects.filter(target=connector.pk).values_list("verb", "actor")
    assert sorted(verbs) == [("connector.disable", "operator"), ("connector.enable", "operator")]


def test_htmx_is_sent_to_the_list_in_place(operator_client: Client, connector: Connector) -> None:
    answer = operator_client.post(url(connector, "disable"), headers={"HX-Request": "true"})
    assert answer.status_code == 200 and "/sase/connectors/" in answer["HX-Location"]


def test_a_next_on_another_host_is_not_followed(operator_client: Client, connector: Connector) -> None:
    answer = operator_client.post(url(connector, "disable"), {"next": "https://evil.example/"})
    assert answer["Location"] == "/sase/connectors/"


def test_of_two_who_switch_off_at_once_one_is_told_that_it_is_off(
    operator_client: Client, connector: Connector
) -> None:
    stale = Connector.objects.get()
    services.connector_switch(connector=connector, enabled=False, actor=ACTOR)
    with pytest.raises(Conflict, match="already disabled"):
        services.connector_switch(connector=stale, enabled=False, actor=ACTOR)
    answer = operator_client.post(url(connector, "disable"))
    assert answer.status_code == 409 and "already disabled" in words(answer)
    assert Cutover.objects.count() == 1


def test_the_dialog_says_what_it_breaks(operator_client: Client, connector: Connector) -> None:
    factories.policy(connector, name="all to office")
    text = words(operator_client.get(url(connector, "confirm-disable")))
    assert "Important" in text and "all to office" in text and "cut at once" in text


def test_the_list_tells_of_the_cut_as_the_gateways_confirm_it(
    operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    one, other = factories.enrolled_gateway(gateway), factories.enrolled_gateway(GatewayFactory(name="other"))
    operator_client.post(url(connector, "disable"))
    text = words(operator_client.get("/sase/connectors/"))
    assert "Cut confirmed by 0 of 2 gateways" in text and "other</span> has not confirmed yet" in text
    version = Cutover.objects.get().version
    one.call("gateway/config", {"applied_version": version, "cut_flows": 3})
    assert "Cut confirmed by 1 of 2 gateways in" in words(operator_client.get(url(connector, "cut")))
    assert "data-live" in words(operator_client.get(url(connector, "cut")))
    other.call("gateway/config", {"applied_version": version})
    text = words(operator_client.get(url(connector, "cut")))
    assert "Cut confirmed by 2 of 2 gateways in" in text and "3 flows cut" in text
    assert "data-live" not in text, "nobody asks on when all is said"


def test_a_gateway_that_is_not_heard_of_is_named_and_not_counted(
    operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    factories.enrolled_gateway(gateway)
    Gateway.objects.update(heard_at=timezone.now() - timedelta(minutes=10))
    operator_client.post(url(connector, "disable"))
    text = words(operator_client.get("/sase/connectors/"))
    assert "Cut confirmed by 0 of 1 gateway" in text
    assert f"{gateway.name}</span> is not reached, last heard" in text


def test_the_list_forgets_an_old_cut_and_the_details_do_not(
    operator_client: Client, connector: Connector, gateway: Gateway
) -> None:
    factories.enrolled_gateway(gateway)
    operator_client.post(url(connector, "disable"))
    Cutover.objects.update(requested_at=timezone.now() - cuts.RECENT - timedelta(seconds=1))
    assert "Cut confirmed" not in words(operator_client.get("/sase/connectors/"))
    assert "Cut confirmed" in words(operator_client.get(f"/sase/connectors/{connector.pk}/"))


def test_without_gateways_there_is_nothing_to_cut(operator_client: Client, connector: Connector) -> None:
    operator_client.post(url(connector, "disable"))
    assert "nothing to cut" in words(operator_client.get(url(connector, "cut")))
