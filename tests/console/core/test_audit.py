"""The audit trail: every change one row; what is written is what both databases give back."""

import math
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from console.core import audit
from console.core.audit_chain import Walk
from console.machines import services
from console.models import AuditRow, User
from tests.console.factories import GATEWAY_FORM, GatewayFactory

pytestmark = pytest.mark.django_db


def test_a_change_says_who_what_before_and_after(administrator: User) -> None:
    gateway = GatewayFactory(name="old name")
    services.gateway_update(gateway=gateway, actor=administrator, name="new name")
    row = AuditRow.objects.get()
    assert (row.actor, row.verb, row.target) == ("administrator", "gateway.update", gateway.pk)
    assert (row.before["name"], row.after["name"]) == ("old name", "new name")


@pytest.mark.parametrize(
    "value",
    [
        "NUL \0 within",
        "half a character \ud800",
        math.nan,
        math.inf,
        1e16,
        -0.0,
        1.5e-9,
        2**70,
        ["a", {"b": "\0"}],
        {"\0": None},
        "\u2028 é 💥 '\"<script>",
    ],
)
def test_odd_values_are_stored_and_hold(administrator: User, value: Any) -> None:
    audit.record(
        actor=administrator, verb="x", target=administrator, before={"a": value}, after={"a": [value]}
    )
    assert Walk().to_the_end().problem == ""


def test_names_that_are_too_long_are_cut(administrator: User) -> None:
    target = audit.Matter("k" * 99, "n" * 999, "i" * 99)
    with audit.source_of("s" * 99):
        row = audit.record(actor=audit.System("a" * 999), verb="x", target=target)
    row.refresh_from_db()
    assert [len(each) for each in (row.actor, row.source, row.target_kind, row.target, row.target_name)] == [
        150,
        60,
        40,
        64,
        200,
    ]


@pytest.mark.parametrize(
    "statement", ["UPDATE console_auditrow SET actor = 'x'", "DELETE FROM console_auditrow"]
)
def test_the_database_refuses_to_change_rows(administrator: User, statement: str) -> None:
    row = audit.record(actor=administrator, verb="x", target=administrator)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    for change in (AuditRow.objects.all().delete, lambda: AuditRow.objects.update(verb="y"), row.save):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()
    row.refresh_from_db()
    assert row.verb == "x"


@pytest.mark.postgres
def test_the_table_is_not_emptied_at_once(administrator: User) -> None:
    audit.record(actor=administrator, verb="x", target=administrator)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute("TRUNCATE console_auditrow CASCADE")


def test_the_callers_address_is_noted(administrator_client: Client) -> None:
    administrator_client.post(
        "/gateways/add/", GATEWAY_FORM, REMOTE_ADDR="192.0.2.7", headers={"x-forwarded-for": "1.2.3.4"}
    )
    assert AuditRow.objects.get(verb="gateway.create").source == "192.0.2.7"


@pytest.mark.django_db(transaction=True)
def test_recording_outside_the_changes_transaction_is_refused(administrator: User) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(actor=administrator, verb="x", target=administrator)
