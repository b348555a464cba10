"""The Monitoring tab: what flowed is what the charts and words show."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.models import Gateway
from roaming.models import ClientAccount, Instance, Usage
from roaming.usage import monitoring
from tests.console.machine import Machine
from tests.queries import queries
from tests.responses import words
from tests.roaming.factories import flow, flows, log_on

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 15, 12, 30, 30, tzinfo=UTC)


@pytest.fixture
def told(machine: Machine, account: ClientAccount) -> Callable[..., Any]:
    """Report one record of the account's session; the gateway counts as heard of."""
    session = log_on(account)
    for model, key in ((Instance, account.instance_id), (ClientAccount, account.pk)):
        model.objects.filter(pk=key).update(created_at=timezone.now() - timedelta(days=60))

    def send(**values: Any) -> None:
        ids = {"session": session.pk, "account": account.pk, "instance": account.instance_id}
        assert machine.call("flows", flows(flow(**ids | values))).json()["refused"] == 0
        Gateway.objects.update(heard_at=timezone.now())

    return send


def chart(client: Client, kind: str, key: str, what: str = "rates", **query: str) -> dict[str, Any]:
    return json.loads(
        client.get(reverse(f"roaming:{kind}_monitoring_chart", args=[key, what]), query).content
    )


@pytest.mark.parametrize("kind", ["instance", "account"])
def test_the_area_under_the_curve_is_the_bytes_that_flowed(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount, kind: str
) -> None:
    key = account.pk if kind == "account" else account.instance_id
    told(bytes_up=75_000, bytes_down=750_000, time=time.time() - 600, started_at=time.time() - 700)
    data = chart(viewer_client, kind, key)["data"]
    assert [trace["name"] for trace in data] == ["Receive", "Send"]
    assert max(data[0]["y"]) == 100_000, "750 kB in a minute"
    assert max(data[1]["y"]) == 10_000
    page = words(viewer_client.get(reverse(f"roaming:{kind}_monitoring", args=[key])))
    assert "<td>732 KB</td>" in page
    assert "<td>73.2 KB</td>" in page
    assert "1 now" in page


def test_connections_are_counted_while_they_are_open(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount
) -> None:
    now = time.time()
    told(flow="a", started_at=now - 3 * 3600)
    told(flow="b", started_at=now - 1800)
    told(flow="c", started_at=now - 1800, ended_at=now - 900, end="closed")
    told(flow="d", started_at=now - 9 * 3600, ended_at=now - 8 * 3600, end="closed")
    counts = chart(viewer_client, "account", account.pk, "connections")["data"][0]["y"]
    assert (counts[0], max(counts), counts[-1]) == (1, 3, 2)


def test_a_silent_gateways_connections_are_not_called_open(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount
) -> None:
    told(started_at=time.time() - 1800)
    Gateway.objects.update(heard_at=timezone.now() - timedelta(hours=1))
    assert set(chart(viewer_client, "account", account.pk, "connections")["data"][0]["y"]) == {0}


@pytest.mark.parametrize("name", ["1h", "3h", "6h", "12h", "24h", "7d", "30d"])
def test_every_range_is_offered_and_kept_in_the_url(
    viewer_client: Client, account: ClientAccount, name: str
) -> None:
    url = reverse("roaming:instance_monitoring", args=[account.instance_id])
    page = words(viewer_client.get(url, {"range": name}))
    assert f'href="{url}?range={name}" aria-current="true"' in page
    assert f"rates.json?range={name}" in page


@pytest.mark.parametrize("kind", ["instance", "account"])
def test_the_figures_can_be_taken_along(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount, kind: str
) -> None:
    key = account.pk if kind == "account" else account.instance_id
    told(bytes_up=75_000, bytes_down=750_000, time=time.time() - 600, started_at=time.time() - 700)
    page = viewer_client.get(reverse(f"roaming:{kind}_monitoring", args=[key]), {"range": "3h"}).text
    url = reverse(f"roaming:{kind}_monitoring_csv", args=[key])
    assert f'href="{url}?range=3h"' in page
    answer = viewer_client.get(url, {"range": "3h"})
    assert key in answer["Content-Disposition"]
    header, *rows = [line.split(",") for line in b"".join(answer).decode("utf-8-sig").split()]
    assert header == ["time_utc", "receive_bit_s", "send_bit_s", "connections"] and len(rows) in (180, 181)
    assert [row[1:3] for row in rows if float(row[1])] == [["100000.000", "10000.000"]]
    assert rows[-1][3] == "1.000"


def test_every_figure_is_one_that_plotly_accepts(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount
) -> None:
    told(bytes_up=75_000, bytes_down=750_000)
    for what in ("rates", "connections"):
        assert go.Figure(chart(viewer_client, "account", account.pk, what, range="30d")).data[0].x


def test_before_there_was_anybody_nothing_was_measured(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount
) -> None:
    Instance.objects.update(created_at=timezone.now() - timedelta(minutes=30))
    told(bytes_up=75_000, bytes_down=750_000)
    for what in ("rates", "connections"):
        for trace in chart(viewer_client, "instance", account.instance_id, what)["data"]:
            gap = trace["y"].count(None)
            assert 28 <= gap <= 32 and None not in trace["y"][gap:], "no zeros before the beginning"


def test_a_custom_range_reads_hours_where_minutes_are_gone(
    viewer_client: Client, account: ClientAccount
) -> None:
    ClientAccount.objects.update(created_at=timezone.now() - timedelta(days=60))
    start = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=30)
    Usage.objects.create(subject=account.pk, span="hour", time=start, bytes_up=3600 * 1000)
    query = {
        "from": f"{start:%Y-%m-%dT%H:%M}",
        "to": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M}",
    }
    data = chart(viewer_client, "account", account.pk, **query)["data"]
    assert (len(data[1]["y"]), data[1]["y"][0], max(data[1]["y"][1:])) == (24, 8000, 0)
    page = viewer_client.get(reverse("roaming:account_monitoring", args=[account.pk]), query).text
    assert f"rates.json?from={query['from'].replace(':', '%3A')}" in page


def test_a_refused_range_says_so_and_shows_the_last_hour(
    viewer_client: Client, account: ClientAccount
) -> None:
    url = reverse("roaming:account_monitoring", args=[account.pk])
    page = viewer_client.get(url, {"from": "nonsense"})
    assert page.status_code == 200
    assert "must be a date and time" in page.text
    assert "rates.json?range=1h" in page.text


@pytest.mark.parametrize("hours", [1, 3, 6, 12, 47, 24 * 30, 24 * 700])
def test_no_chart_has_more_points_than_it_can_show(hours: int) -> None:
    asked = {"from": (NOW - timedelta(hours=hours)).isoformat(), "to": NOW.isoformat()}
    chosen = monitoring.window(asked, NOW)
    points = (chosen.end - chosen.start).total_seconds() / chosen.width
    assert 12 <= points <= monitoring.MOST_POINTS + 1


@pytest.mark.parametrize("number", [1, 40])
def test_the_page_costs_the_same_whatever_flowed(
    viewer_client: Client, told: Callable[..., Any], account: ClientAccount, number: int
) -> None:
    for n in range(number):
        told(flow=f"f{n}", started_at=time.time() - 60 * n)
    page = reverse("roaming:instance_monitoring", args=[account.instance_id])
    assert len(queries(viewer_client.get, page)) <= 11
