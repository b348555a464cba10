"""The audit trail: every change one row, chained."""

import pytest
from django.db import transaction
from django.test import Client

from console.core import audit
from console.machines import services
from console.models import AuditRow, User
from tests.console.factories import GATEWAY_FORM, GatewayFactory

pytestmark = pytest.mark.django_db


def three_rows(administrator: User) -> list[AuditRow]:
    for name in ("one", "two", "three"):
        services.gateway_update(gateway=GatewayFactory(), actor=administrator, name=name)
    return list(AuditRow.objects.order_by("id"))


def test_a_change_says_who_what_before_and_after(administrator: User) -> None:
    gateway = GatewayFactory(name="old name")
    services.gateway_update(gateway=gateway, actor=administrator, name="new name")
    row = AuditRow.objects.get()
    assert (row.actor, row.verb, row.target) == ("administrator", "gateway.update", gateway.pk)
    assert (row.before["name"], row.after["name"]) == ("old name", "new name")


def test_an_untouched_chain_is_whole(administrator: User) -> None:
    three_rows(administrator)
    assert audit.first_broken_row() is None


def test_the_page_shows_a_change_of_what_is_called_items(viewer_client: Client, administrator: User) -> None:
    audit.record(
        actor=administrator, verb="task.start", target=GatewayFactory(), after={"kind": "x", "items": 3}
    )
    assert "items: 3" in viewer_client.get("/audit/").text


@pytest.mark.parametrize("field", ["actor", "verb", "target", "source"])
def test_an_altered_row_shows(administrator: User, field: str) -> None:
    rows = three_rows(administrator)
    AuditRow.objects.filter(pk=rows[1].pk).update(**{field: "somebody else"})
    assert audit.first_broken_row() == rows[1]


def test_a_missing_row_shows(administrator: User) -> None:
    rows = three_rows(administrator)
    rows[1].delete()
    assert audit.first_broken_row() == rows[2]


def test_the_callers_address_is_noted(administrator_client: Client) -> None:
    administrator_client.post(
        "/gateways/add/", GATEWAY_FORM, REMOTE_ADDR="192.0.2.7", headers={"x-forwarded-for": "1.2.3.4"}
    )
    assert AuditRow.objects.get(verb="gateway.create").source == "192.0.2.7"


@pytest.mark.django_db(transaction=True)
def test_recording_outside_the_changes_transaction_is_refused(administrator: User) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(actor=administrator, verb="x", target=administrator)
