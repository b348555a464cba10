"""Page of the audit: narrowed by time, person, action and object, in words, with links, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.fleet import services as fleet
from console.core import audit, people
from console.core.audit_keys import all_keys
from console.models import AuditRow, User
from tests.connectors.factories import ConnectorFactory
from tests.console.factories import UserFactory

pytestmark = pytest.mark.django_db
URL = "/audit/"


@pytest.fixture
def rows(administrator: User, monkeypatch: pytest.MonkeyPatch) -> list[AuditRow]:
    """Three rows by two people: 1 Nov 8:00 anna, 2 Nov 8:00 ben, 3 Nov 8:00 anna."""
    found = []
    anna, ben = (UserFactory(username=name) for name in ("anna", "ben"))
    first = timezone.now().replace(year=2026, month=11, day=1, hour=8, minute=0, second=0, microsecond=0)
    for days, (user, verb, name) in enumerate(
        [
            (anna, "connector.enable", "office"),
            (ben, "connector.disable", "office"),
            (anna, "policy.create", "staff"),
        ]
    ):
        with monkeypatch.context() as patch:
            patch.setattr(timezone, "now", lambda days=days: first + timedelta(days=days))
            kind = verb.split(".")[0]
            target = audit.Matter(kind, name, f"{kind}-1")
            found.append(audit.record(actor=user, verb=verb, target=target, after={"n": days}))
    return found


def shown(client: Client, **query: str) -> list[int]:
    page = client.get(URL, query)
    assert page.status_code == 200
    return sorted(
        row.pk for row in page.context["table"].rows if row.verb.split(".")[0] in ("connector", "policy")
    )


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({}, [0, 1, 2]),
        ({"from": "2026-11-02T08:00"}, [1, 2]),
        ({"to": "2026-11-02T08:00"}, [0]),
        ({"from": "2026-11-01T09:00", "to": "2026-11-02T09:00"}, [1]),
        ({"person": "ann"}, [0, 2]),
        ({"action": "connector.disable"}, [1]),
        ({"object": "connector-1"}, [0, 1]),
        ({"object": "STAF"}, [2]),
        ({"object": "policy"}, [2]),
        ({"person": "anna", "action": "connector.enable", "object": "office"}, [0]),
        ({"person": "nobody"}, []),
        ({"person": "a\0nna' OR 1=1 --"}, []),
    ],
)
def test_rows_are_narrowed(
    viewer_client: Client, rows: list[AuditRow], query: dict[str, str], places: list[int]
) -> None:
    wanted = [rows[place].pk for place in places]
    assert shown(viewer_client, **query) == wanted
    names = {str(row.pk) for row in rows}
    lines = list(
        csv.reader(io.StringIO(viewer_client.get(f"{URL}audit.csv", query).getvalue().decode("utf-8-sig")))
    )
    assert sorted(int(line[0]) for line in lines[1:] if line[0] in names) == wanted
    sent = json.loads(viewer_client.get(f"{URL}audit.json", query).getvalue())
    assert sorted(row["number"] for row in sent if str(row["number"]) in names) == wanted


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9999999999", "2026-11-02T08:00' --"])
def test_a_time_that_is_none_is_named(viewer_client: Client, text: str) -> None:
    page = viewer_client.get(URL, {"from": text})
    assert page.status_code == 200 and "From must be a date and time such as" in page.text


def test_the_form_keeps_what_was_asked_and_the_pager_too(viewer_client: Client, rows: list[AuditRow]) -> None:
    for number in range(30):
        audit.record(actor=audit.System("worker"), verb="x.y", target=audit.Matter("x", f"n{number}"))
    page = viewer_client.get(URL, {"person": "worker", "action": "x.y", "size": "20"}).text
    assert 'name="person" value="worker"' in page and "<option selected>x.y</option>" in page
    assert "person=worker&amp;action=x.y&amp;size=20&amp;page=2" in page
    assert '<input type="hidden" name="person" value="worker">' in page
    assert "person=worker&amp;action=x.y&amp;size=20&amp;format=csv" in page


def test_nothing_found_is_not_nothing_there(viewer_client: Client) -> None:
    assert "Nothing matches" in viewer_client.get(URL, {"person": "nobody"}).text


def test_a_change_is_told_in_words(viewer_client: Client, administrator: User) -> None:
    user = UserFactory(username="anna")
    people.user_update(user=user, actor=administrator, role="operator", email=user.email, is_staff=True)
    page = viewer_client.get(URL, {"action": "user.update"}).text
    assert "Role: <del>Viewer</del> → <ins>Operator</ins>" in page
    assert "Staff status: <del>no</del> → <ins>yes</ins>" in page
    assert user.email not in page


def test_objects_are_linked_to_where_they_live(viewer_client: Client, administrator: User) -> None:
    connector = ConnectorFactory()
    fleet.connector_switch(connector=connector, enabled=False, actor=administrator)
    page = viewer_client.get(URL, {"action": "connector.disable"}).text
    assert f'href="/sase/connectors/{connector.pk}/"' in page
    audit.record(actor=administrator, verb="gateway.update", target=audit.Matter("gateway", "g", "gateway-1"))
    audit.record(actor=administrator, verb="gateway.delete", target=audit.Matter("gateway", "g", "gateway-2"))
    audit.record(actor=administrator, verb="ccn.update", target=audit.Matter("ccn", "g", "../../etc"))
    page = viewer_client.get(URL).text
    assert 'href="/gateways/?q=gateway-1"' in page and "q=gateway-2" not in page
    assert "/users/" not in page and "../etc&quot;" not in page


def test_only_administrators_get_links_to_users(
    administrator: User, administrator_client: Client, operator_client: Client
) -> None:
    link = f'href="/users/{administrator.pk}/edit/"'
    audit.record(actor=administrator, verb="user.update", target=administrator)
    assert link not in operator_client.get(URL).text
    assert link in administrator_client.get(URL).text


def test_an_export_is_a_row_itself(viewer_client: Client, rows: list[AuditRow]) -> None:
    for name in ("audit.csv", "audit.json"):
        answer = viewer_client.get(f"{URL}{name}", {"person": "anna"})
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"' and answer.streaming
        row = AuditRow.objects.order_by("-pk").first()
        assert row is not None
        assert (row.verb, row.actor) == ("export.take", "viewer")
        assert row.after == {"file": name, "narrowed": {"person": "anna"}}


def test_a_spreadsheet_runs_nothing(viewer_client: Client) -> None:
    audit.record(
        actor=audit.System("=cmd|x"), verb="x.y", target=audit.Matter("x", "@SUM(1)"), after={"a": "=1"}
    )
    lines = list(csv.reader(io.StringIO(viewer_client.get(f"{URL}audit.csv").getvalue().decode("utf-8-sig"))))
    line = next(line for line in lines if line[4] == "x.y")
    assert (line[2], line[7], line[8]) == ("'=cmd|x", "'@SUM(1)", "A: =1")


def test_what_is_exported_can_be_verified_elsewhere(viewer_client: Client, rows: list[AuditRow]) -> None:
    sent = json.loads(viewer_client.get(f"{URL}audit.json?sort=at").getvalue())
    previous = ""
    for each in sent:
        row = AuditRow.objects.get(pk=each["number"])
        assert audit.digest(all_keys()[0], previous, row) == each["digest"]
        assert each["after"] == row.after and each["key"] == all_keys()[0].name
        previous = each["digest"]


def test_as_many_queries_for_many_rows_as_for_few(
    viewer_client: Client, rows: list[AuditRow], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_max_num_queries(8):
        viewer_client.get(URL)
    for number in range(60):
        audit.record(
            actor=audit.System("worker"), verb=f"x.y{number}", target=audit.Matter("connector", "n", "c-1")
        )
    with django_assert_max_num_queries(8) as counted:
        viewer_client.get(URL, {"person": "worker", "from": "2020-01-01T00:00"})
    assert len(counted) <= 8
