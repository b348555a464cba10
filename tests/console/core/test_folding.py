"""Search and order go by what a person takes for equal and for first, on both databases."""

import unicodedata
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from console.core import folding
from console.models import Region
from tests.connectors import factories
from tests.roaming.factories import AccountFactory

EQUAL = [
    ("Ärzte", "ärzte"), ("A\u0308rzte", "Ärzte"), ("ÉCOLE", "ecole"), ("Straße", "STRASSE"), ("İstanbul", "istanbul"),
    ("Łódź", "lodz"), ("ﬁne", "fine"), ("Ｗｉｄｅ", "wide"), ("Ωμέγας", "ωμεγασ"),
    ("한글", unicodedata.normalize("NFD", "한글")), ("Ærø", "aero"), ("Москва", "МОСКВА"),
    ("が", unicodedata.normalize("NFD", "が")),
]  # fmt: skip
NAMES = ["zebra", "Äpfel", "apfel 2", "Zürich", "Öl", "ol", "中文", "Éclair", "ECLAIR", "banana"]
IN_ORDER = ["Äpfel", "apfel 2", "banana", "Éclair", "ECLAIR", "Öl", "ol", "zebra", "Zürich", "中文"]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_to_a_person_is_equal(one: str, other: str) -> None:
    assert folding.fold(one) == folding.fold(other)


def test_other_letters_stay_others() -> None:
    assert folding.fold("か") != folding.fold("が")
    assert folding.fold("a") != folding.fold("b")


@pytest.mark.django_db
@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_the_database_finds_what_is_equal(one: str, other: str) -> None:
    Region.objects.create(id="x", name=f"<{one}>", area_id="singapore", position=9)
    assert Region.objects.filter(name__folded=other).count() == 1
    assert Region.objects.filter(name__folded=f"{other}%").count() == 0


@pytest.mark.django_db
def test_the_database_orders_as_the_function_does() -> None:
    Region.objects.all().delete()
    for place, name in enumerate(NAMES):
        Region.objects.create(id=f"r{place}", name=name, area_id="singapore", position=place)
    assert list(Region.objects.order_by("name__fold", "position").values_list("name", flat=True)) == IN_ORDER
    back = list(Region.objects.order_by("-name__fold", "position").values_list("name", flat=True))
    assert [folding.fold(name) for name in back] == sorted(
        (folding.fold(name) for name in NAMES), reverse=True
    )


@pytest.mark.django_db
@pytest.mark.postgres
def test_postgresql_folds_every_letter_as_the_function_does() -> None:
    letters = [
        chr(number)
        for number in range(1, 0x110000)
        if unicodedata.category(chr(number)) not in ("Cn", "Co", "Cs", "Cc")
    ]
    sql = f"SELECT letter, {folding._on_postgresql('letter')} FROM unnest(%s::text[]) AS t(letter)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [letters])
        found = dict(cursor.fetchall())
    differ = [
        (each, found[each], folding.fold(each)) for each in letters if found[each] != folding.fold(each)
    ]
    assert not differ, differ[:20]


# --- Through the pages ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("word", ["ärzte", "ÄRZTE", "a\u0308rzte", "arzte"])
def test_a_page_finds_a_name_however_it_is_typed(viewer_client: Client, word: str) -> None:
    factories.application("Ärzte im Haus", addresses=["a.example"])
    factories.application("other", addresses=["b.example"])
    page = viewer_client.get("/sase/applications/", {"q": word}).text
    assert "Ärzte im Haus" in page and "b.example" not in page


@pytest.mark.django_db
def test_pages_sort_names_beside_their_plain_letters(viewer_client: Client) -> None:
    for name in ("zebra", "Zürich", "Ämter", "apfel", "Bär"):
        factories.group(name)
    page = viewer_client.get("/sase/groups/").text
    places = [page.index(f">{name}<") for name in ("Ämter", "apfel", "Bär", "zebra", "Zürich")]
    assert places == sorted(places)


@pytest.mark.django_db
def test_accounts_and_django_admin_are_searched_by_the_same_rule(
    superuser_client: Client, viewer_client: Client
) -> None:
    account = AccountFactory(username="arzte-one")
    assert (
        "arzte-one"
        in viewer_client.get(f"/sag/instances/{account.instance_id}/accounts/", {"q": "Ärzte"}).text
    )
    factories.group("Ärzte")
    page: Any = superuser_client.get("/admin/connectors/usergroup/", {"q": "arzte"})
    assert "Ärzte" in page.text
