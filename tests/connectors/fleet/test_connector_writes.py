"""Writes to connectors (add, rename, delete) and servers (taken out), and what is refused."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from connectors.fleet import services as fleet
from connectors.models import Connector, Server
from connectors.policies import services as policies
from console.core.errors import Conflict, Invalid
from console.machines import config, enrollment
from console.models import AuditRow, Cutover, EnrollmentCode, MachineKey
from tests.connectors import factories
from tests.connectors.factories import ACTOR, ConnectorFactory, region
from tests.console.machine import Machine

pytestmark = pytest.mark.django_db
GOOD = {"name": "branch-1", "region": "eu-central-1", "enabled": "on"}


def test_a_connector_is_added_and_told_to_gateways(operator_client: Client) -> None:
    before = config.current().version
    answer = operator_client.post("/sase/connectors/add/", GOOD)
    connector = Connector.objects.get()
    assert answer.status_code == 302 and connector.enabled and connector.region_id == "eu-central-1"
    assert config.current().version == before + 1
    assert AuditRow.objects.get(target=connector.pk).verb == "connector.create"


def test_the_switch_left_out_is_off(operator_client: Client) -> None:
    operator_client.post("/sase/connectors/add/", {"name": "quiet", "region": "cn-shanghai"})
    assert not Connector.objects.get().enabled


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("a", True),
        ("上海-机房_1.a", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("with space", False),
        ("<b>", False),
        ("a\nb", False),
        ("a\0b", False),
        ("naïve", False),
    ],
)
def test_the_rule_for_names(operator_client: Client, name: str, legal: bool) -> None:
    answer = operator_client.post("/sase/connectors/add/", GOOD | {"name": name})
    assert answer.status_code == (302 if legal else 422)
    assert Connector.objects.count() == int(legal)


@pytest.mark.parametrize("htmx", [{}, {"HX-Request": "true", "HX-Target": "panel"}])
def test_a_refusal_names_the_field_and_keeps_the_input(operator_client: Client, htmx: dict[str, Any]) -> None:
    ConnectorFactory(name="branch-1")
    answer = operator_client.post("/sase/connectors/add/", GOOD, headers=htmx)
    text = answer.text
    assert answer.status_code == 422
    assert "There is another connector with this Instance Name" in text and 'value="branch-1"' in text
    assert "id_name_error" in text


def test_an_unknown_region_is_refused(operator_client: Client) -> None:
    answer = operator_client.post("/sase/connectors/add/", GOOD | {"region": "mars-1"})
    assert answer.status_code == 422 and "Region must be one of the list" in answer.text


def test_the_database_itself_refuses_a_second_name() -> None:
    ConnectorFactory(name="twin")
    with pytest.raises(IntegrityError), transaction.atomic():
        Connector.objects.bulk_create([Connector(name="twin", region=region())])


def test_rename(operator_client: Client, connector: Connector) -> None:
    ConnectorFactory(name="taken")
    url = f"/sase/connectors/{connector.pk}/rename/"
    assert operator_client.post(url, {"name": "taken"}).status_code == 422
    assert operator_client.post(url, {"name": "home"}).status_code == 302
    connector.refresh_from_db()
    assert connector.name == "home"
    row = AuditRow.objects.get(verb="connector.rename")
    assert (row.before, row.after) == ({"name": "office"}, {"name": "home"})


def test_delete_is_refused_while_policies_name_it(operator_client: Client, connector: Connector) -> None:
    policy = factories.policy(connector, name="needs office")
    assert "needs office" in operator_client.get(f"/sase/connectors/{connector.pk}/confirm-delete/").text
    answer = operator_client.post(f"/sase/connectors/{connector.pk}/delete/")
    assert answer.status_code == 409 and "needs office" in answer.text
    policies.policy_delete(policy=policy, actor=ACTOR)
    assert operator_client.post(f"/sase/connectors/{connector.pk}/delete/").status_code == 302
    assert not Connector.objects.exists()


def test_delete_takes_servers_their_keys_and_open_codes_along(connector: Connector) -> None:
    machine = Machine("server", connector.pk)
    enrollment.code_create(kind="server", target=connector.pk, actor=ACTOR)
    fleet.connector_delete(connector=connector, actor=ACTOR)
    assert not Server.objects.exists() and not MachineKey.objects.exists()
    assert not EnrollmentCode.objects.filter(used_at=None).exists()
    assert machine.call("telemetry", factories.telemetry()).status_code == 401
    assert Cutover.objects.filter(target=connector.pk).exists()


def test_a_server_is_disabled_enabled_and_removed(operator_client: Client, connector: Connector) -> None:
    machine = Machine("server", connector.pk)
    base = f"/sase/connectors/{connector.pk}/servers/{machine.id}"
    assert operator_client.get(f"{base}/confirm-disable/").status_code == 200
    assert operator_client.post(f"{base}/disable/").status_code == 302
    assert machine.call("server/config", {}).json()["server"]["enabled"] is False
    assert operator_client.post(f"{base}/disable/").status_code == 409
    assert operator_client.post(f"{base}/enable/").status_code == 302
    assert operator_client.get(f"{base}/confirm-remove/").status_code == 200
    assert operator_client.post(f"{base}/remove/").status_code == 302
    assert not Server.objects.exists() and not MachineKey.objects.exists()
    reasons = [cutover.reason.split()[0] for cutover in Cutover.objects.filter(target=machine.id)]
    assert reasons == ["server.remove", "server.disable"]


def test_two_servers_may_not_enable_twice(server: Server) -> None:
    with pytest.raises(Conflict):
        fleet.server_switch(server=server, enabled=True, actor=ACTOR)


def test_a_service_refuses_what_a_form_would(connector: Connector) -> None:
    with pytest.raises(Invalid) as refusal:
        fleet.connector_create(name="two words", region=region(), actor=ACTOR)
    assert refusal.value.field == "name"
