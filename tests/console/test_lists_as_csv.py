"""Every list of the console is to be had as CSV: the rows of the page, narrowed and ordered as there."""

import csv
import io
import re

import pytest
from django.test import Client

from console.models import AuditRow, User
from tests.connectors import factories
from tests.console.everything import everything
from tests.console.test_roles import PAGES
from tests.queries import queries

pytestmark = pytest.mark.django_db
LINK = re.compile(r'<a href="([^"]*format=csv[^"]*)"')


def rows_of(client: Client, url: str) -> list[dict[str, str]]:
    answer = client.get(url)
    assert answer.status_code == 200 and answer["Content-Type"] == "text/csv; charset=utf-8", url
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def test_every_list_has_a_file_with_its_rows(administrator: User, viewer_client: Client) -> None:
    """Walk the map of URLs: whatever shows a table with paging offers CSV, with as many lines as the page has rows."""
    ids, lists = everything(administrator), set()
    for page in PAGES:
        if page.role != "viewer" or "GET" not in page.methods or not set(page.names) <= set(ids):
            continue
        url = page.url(ids)
        answer = viewer_client.get(url)
        if answer.streaming or 'class="pager"' not in answer.text:
            continue
        link = LINK.search(answer.text)
        assert link, f"{url} has no file"
        found = rows_of(viewer_client, link[1].replace("&amp;", "&"))
        shown = re.search(r"Showing [\d,]+–[\d,]+ of ([\d,]+)", answer.text)
        assert shown and len(found) >= int(shown[1].replace(",", "")) > 0, url
        assert AuditRow.objects.order_by("-pk")[0].verb == "export.take"
        lists.add(page.path)
    assert len(lists) >= 15, lists


def test_servers_have_a_file(viewer_client: Client) -> None:
    server = factories.ServerFactory(hostname="=cmd", heard=True)
    (row,) = rows_of(viewer_client, f"/sase/connectors/{server.connector_id}/servers/?format=csv")
    assert (row["hostname"], row["id"], row["status"]) == ("'=cmd", server.pk, "Running")


def test_a_file_has_the_search_the_filters_and_the_order_of_its_list(viewer_client: Client) -> None:
    for name in ("beta", "alpha", "alpine"):
        factories.ConnectorFactory(name=name)
    found = rows_of(viewer_client, "/sase/connectors/?q=alp&sort=-name&format=csv")
    assert [row["name"] for row in found] == ["alpine", "alpha"]
    assert rows_of(viewer_client, "/sase/connectors/?status=online&format=csv") == []
    row = AuditRow.objects.filter(verb="export.take").order_by("pk")[0]
    assert row.after == {"file": "connectors.csv", "narrowed": {"q": "alp"}}
    assert (row.target_kind, row.target_name) == ("connector", "all connectors")


@pytest.mark.parametrize(
    "url", ["/sase/connectors/", "/sase/policies/", "/sase/groups/", "/sase/applications/"]
)
def test_a_file_costs_the_same_for_3_and_30_rows(viewer_client: Client, url: str) -> None:
    def fetch() -> int:
        return len(queries(lambda: rows_of(viewer_client, f"{url}?format=csv") and None))

    counts = []
    for number in (3, 27):
        for _ in range(number):
            connector = factories.ConnectorFactory()
            application = factories.application(tags=["a"])
            factories.policy(connector, all_applications=False, applications=[application])
            factories.group()
        fetch()
        counts.append(fetch())
    assert counts[0] == counts[1]


def test_another_format_is_the_page(viewer_client: Client) -> None:
    assert "<html" in viewer_client.get("/sase/connectors/?format=xml").text
