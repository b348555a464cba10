"""Lists: whatever the query string says, a page comes out, in two queries."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client, RequestFactory

from console.kit import tables
from console.kit.tables import Page
from console.models import Region
from tests.console.shell_site.fixtures import shell_site
from tests.console.shell_site.urls import REGIONS

__all__ = ["shell_site"]

pytestmark = pytest.mark.usefixtures("shell_site")

ALL = ["China (Beijing)", "China (Chengdu)", "China (Shanghai)", "Frankfurt", "Singapore"]


def names(client: Client, query: str = "", **headers: str) -> list[str]:
    answer = client.get(f"/regions/{query}", headers=headers)
    assert answer.status_code == 200
    return re.findall(r'class="object-name"[^>]*>([^<]+)<', answer.text)


def page_of(query: dict[str, str]) -> Page:
    return REGIONS.page(RequestFactory().get("/regions/", query), Region.objects.select_related("area"))


def many_regions(number: int) -> None:
    Region.objects.bulk_create(
        Region(pk=f"many-{n}", name=f"Many {n:05}", area_id="singapore", position=7) for n in range(number)
    )


def test_rows_come_in_the_default_order(viewer_client: Client) -> None:
    assert names(viewer_client) == ALL


def test_a_column_sorts_both_ways(viewer_client: Client) -> None:
    assert names(viewer_client, "?sort=-name") == ALL[::-1]
    assert names(viewer_client, "?sort=position")[0] == "China (Shanghai)"


def test_the_sorted_column_says_so_and_links_to_the_other_direction(viewer_client: Client) -> None:
    html = viewer_client.get("/regions/?sort=position&q=china").text
    assert html.count("aria-sort") == 1
    assert 'aria-sort="ascending"' in html
    assert 'href="/regions/?sort=-position&amp;q=china"' in html


def test_search_finds_names_and_ids_and_needs_every_word(viewer_client: Client) -> None:
    assert names(viewer_client, "?q=CN-BEI") == ["China (Beijing)"]
    assert names(viewer_client, "?q=china+shang") == ["China (Shanghai)"]
    assert names(viewer_client, "?q=china+singapore") == []


def test_a_filter_narrows_and_keeps_the_search(viewer_client: Client) -> None:
    assert names(viewer_client, "?area=singapore") == ["Frankfurt", "Singapore"]
    assert names(viewer_client, "?area=singapore&q=frank") == ["Frankfurt"]


@pytest.mark.parametrize(
    "query",
    [
        "?page=0",
        "?page=-3",
        "?page=999999999999999999999",
        "?page=%D9%A3",  # an Arabic digit
        "?page=1e3",
        "?sort=password",
        "?sort=--name",
        "?sort=area__regions",
        "?size=1000000",
        "?size=%00",
        "?area=atlantis",
        "?area=%00",
        "?q=%00",
        "?q=%20%20",
    ],
)
def test_what_makes_no_sense_is_ignored(viewer_client: Client, query: str) -> None:
    assert names(viewer_client, query) == ALL


@pytest.mark.parametrize(
    "query", ["?q=zz%00zz", "?q=%FF%FE", "?q=%ED%A0%80", "?q=" + "x" * 5000, "?q=%25_%27%22%5C"]
)
def test_odd_searches_find_nothing_and_break_nothing(viewer_client: Client, query: str) -> None:
    assert names(viewer_client, query) == []


def test_a_page_too_far_is_the_last_page() -> None:
    many_regions(120)
    page = page_of({"page": "99", "size": "50"})
    assert (page.number, page.first, page.last, page.total) == (3, 101, 125, 125)


def test_equal_rows_keep_their_place_from_page_to_page() -> None:
    many_regions(120)
    seen = [
        row.pk
        for number in range(1, 8)
        for row in page_of({"page": str(number), "size": "20", "sort": "area"}).rows
    ]
    assert len(seen) == len(set(seen)) == 125


@pytest.mark.parametrize("number", [3, 300])
def test_a_page_costs_two_queries(number: int, django_assert_num_queries: Any) -> None:
    many_regions(number)
    request = RequestFactory().get("/regions/", {"q": "m", "area": "singapore"})
    request._areas = []  # type: ignore[attr-defined]  # the filter's choices are the shell's areas, already there
    with django_assert_num_queries(2):
        page = REGIONS.page(request, Region.objects.select_related("area"))
        assert all(row.area.name for row in page.rows)


def test_an_empty_list_costs_one_query(django_assert_num_queries: Any) -> None:
    request = RequestFactory().get("/regions/", {"q": "nothing like it"})
    request._areas = []  # type: ignore[attr-defined]
    with django_assert_num_queries(1):
        assert REGIONS.page(request, Region.objects.all()).rows == []


def test_paging_says_where_it_is_and_keeps_search_and_size(viewer_client: Client) -> None:
    many_regions(70)
    html = viewer_client.get("/regions/?q=many&size=20&page=2").text
    assert "Showing 21–40 of 70" in html
    assert 'href="/regions/?q=many&amp;size=20&amp;page=3"' in html
    assert 'href="/regions/?q=many&amp;size=20"' in html


def test_htmx_gets_the_table_alone(viewer_client: Client) -> None:
    answer = viewer_client.get("/regions/?q=beijing", headers={"HX-Request": "true", "HX-Target": "table"})
    html = answer.text
    assert html.lstrip().startswith('<div class="table-block"')
    assert "China (Beijing)" in html
    assert "<html" not in html
    assert {"HX-Request", "HX-Target"} <= set(answer["Vary"].replace(" ", "").split(","))


def test_htmx_aimed_elsewhere_gets_the_page(viewer_client: Client) -> None:
    answer = viewer_client.get("/regions/", headers={"HX-Request": "true", "HX-Target": "page"})
    assert "<html" in answer.text


def test_an_empty_list_says_what_to_do_next(viewer_client: Client) -> None:
    html = viewer_client.get("/regions/?world=empty").text
    assert "No regions yet" in html
    assert "Add the first" in html
    assert "<table" not in html


def test_a_search_without_a_match_offers_the_way_back(viewer_client: Client) -> None:
    html = viewer_client.get("/regions/?q=%3Cb%3Enothing").text
    assert "Nothing matches “&lt;b&gt;nothing”" in html
    assert "Show everything" in html


@pytest.mark.parametrize("large", [False, True])
def test_a_large_table_shows_the_same_rows(large: bool) -> None:
    many_regions(120)
    table = replace(REGIONS, large=large)
    request = RequestFactory().get("/regions/", {"q": "many", "size": "50", "page": "3", "sort": "-name"})
    page = table.page(request, Region.objects.select_related("area"))
    assert [row.name for row in page.rows] == [f"Many {n:05}" for n in range(19, -1, -1)]
    assert (page.total, page.more) == (120, False)


def test_a_search_of_a_large_table_stops_after_so_many_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_HITS", 60)
    many_regions(120)
    table = replace(REGIONS, large=True)
    request = RequestFactory().get("/regions/", {"q": "many", "size": "50", "page": "9"})
    page = table.page(request, Region.objects.select_related("area"))
    assert (page.total, page.more, page.pages, page.first, page.last) == (60, True, 2, 51, 60)
