"""What was moved, where people look for it: the lists of accounts and of sessions."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from roaming.models import ClientAccount, UserSession
from roaming.usage import buckets as usage
from tests.console.machine import Machine
from tests.responses import Response
from tests.roaming.factories import AccountFactory, flow, flows, log_on

pytestmark = pytest.mark.django_db


def told(session: UserSession, **values: Any) -> dict[str, Any]:
    return flow(session=session.pk, account=session.account_id, instance=session.instance_id, **values)


def row_of(page: Response, name: str) -> str:
    body = page.text
    start = body.index(f"{name}</label>") if f"{name}</label>" in body else body.index(f">{name}</a>")
    return body[start : body.index("</tr>", start)]


def test_the_accounts_list_shows_the_larger_direction_of_the_month(
    operator_client: Client, machine: Machine, account: ClientAccount
) -> None:
    session = log_on(account)
    machine.call("flows", flows(told(session, bytes_up=3 * 2**20, bytes_down=2**20)))
    machine.call("flows", flows(told(session, flow="f2", bytes_up=0, bytes_down=2**19)))
    page = operator_client.get(reverse("roaming:accounts", args=[account.instance_id]))
    row = row_of(page, account.username)
    assert "<td>3 MB</td>" in row
    assert "<td>1</td>" in row, "one online connection"


def test_last_months_data_is_not_this_months(
    operator_client: Client, machine: Machine, account: ClientAccount
) -> None:
    session = log_on(account)
    old = usage.bucket("month", datetime.now(UTC)).timestamp() - 10
    machine.call(
        "flows", flows(told(session, bytes_up=2**20, started_at=old - 5, ended_at=old, end="closed"))
    )
    page = operator_client.get(reverse("roaming:accounts", args=[account.instance_id]))
    row = row_of(page, account.username)
    assert "<td>0 B</td>" in row


def test_the_sessions_list_shows_flows_and_bytes(
    operator_client: Client, machine: Machine, account: ClientAccount
) -> None:
    session, other = log_on(account), log_on(AccountFactory(instance=account.instance))
    closed = {"ended_at": time.time(), "end": "closed"}
    machine.call(
        "flows",
        flows(
            told(session, bytes_up=1024, bytes_down=2048),
            told(session, flow="f2", bytes_up=1024, bytes_down=0),
            told(session, flow="f3", bytes_up=0, bytes_down=1024, **closed),
        ),
    )
    page = operator_client.get(reverse("roaming:sessions", args=[account.instance_id]))
    cells = '<td class="align-end">{}</td><td class="align-end">{}</td><td class="align-end">{}</td>'
    assert cells.format(2, "2 KB", "3 KB") in row_of(page, session.username)
    assert cells.format(0, "0 B", "0 B") in row_of(page, other.username)
