"""Applications as CSV files, with tags: all of a file or nothing, and every bad line is named."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from connectors.applications import services
from connectors.models import Application, Tag
from console.core.errors import Invalid
from tests.connectors import factories
from tests.connectors.factories import ACTOR
from tests.responses import Response

pytestmark = pytest.mark.django_db
EXPORT, IMPORT = "/sase/applications/export/", "/sase/applications/import/"
HEAD = "name,description,protocol,addresses,ports,origin,tags,status"


def upload(client: Client, *lines: str, **headers: str) -> Response:
    file = SimpleUploadedFile("applications.csv", "\n".join((HEAD, *lines)).encode())
    return client.post(IMPORT, {"file": file}, headers=headers)


def exported(client: Client) -> list[dict[str, str]]:
    text = client.get(EXPORT).getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def state() -> set[tuple[object, ...]]:
    return {
        (
            each.name,
            each.description,
            each.protocol,
            each.origin,
            each.enabled,
            tuple(address.address for address in each.addresses.all()),
            tuple(str(ports) for ports in each.ports.all()),
            frozenset(tag.name for tag in each.tags.all()),
        )
        for each in Application.objects.all()
    }


@pytest.mark.parametrize("htmx", [False, True])
def test_a_file_is_taken(operator_client: Client, htmx: bool) -> None:
    headers = {"HX-Request": "true", "HX-Target": "panel"} if htmx else {}
    answer = upload(
        operator_client,
        "wiki,The wiki,TCP,wiki.corp.example; *.docs.example,80; 8000-8010,,office; web,Enabled",
        "dns,,udp,10.0.0.53,53,,,disabled",
        ",,,,,,,",
        **headers,
    )
    assert answer.status_code == (200 if htmx else 302)
    assert state() == {
        (
            "wiki", "The wiki", "TCP", None, True, ("wiki.corp.example", "*.docs.example"),
            ("80", "8000-8010"), frozenset({"office", "web"}),
        ),
        ("dns", "", "UDP", None, False, ("10.0.0.53",), ("53",), frozenset()),
    }  # fmt: skip
    page = operator_client.get("/sase/applications/").text
    assert page.count("Not carried yet") == 1


LINE = HEAD + "\r\nwiki,note,TCP,wiki.corp.example,80,,x,Enabled\r\n"


@pytest.mark.parametrize(
    "content",
    [
        LINE.replace(",", ";").encode("utf-8-sig"),
        LINE.replace(",", "\t").encode(),
        LINE.replace(",", "\t").encode("utf-16"),
        LINE.replace("\r\n", "\r").encode(),
        LINE.replace("note", "中文").encode("gb18030"),
        LINE.replace("note", "Größe").replace(",", ";").encode("cp1252"),
        (LINE + ",,,,,,,\r\n").encode(),
        LINE.replace(HEAD, HEAD.title()).encode(),
        LINE.replace("wiki.corp.example", '"wiki.corp.example\n"').encode(),
        LINE.replace(",", " ,\u00a0").encode(),
        LINE.replace("wiki.corp", "\u200bwiki.corp").encode(),
        LINE.replace("Enabled", "WAHR").encode(),
    ],
)
def test_what_spreadsheets_write_is_taken(operator_client: Client, content: bytes) -> None:
    file = SimpleUploadedFile("applications.csv", content)
    answer = operator_client.post(IMPORT, {"file": file}, follow=True)
    assert "1 applications were added" in answer.text and "The file was read as" in answer.text, answer.text
    (found,) = state()
    assert found[0] == "wiki" and found[5:7] == (("wiki.corp.example",), ("80",)) and found[4]


def test_a_range_that_became_a_date_is_named(operator_client: Client) -> None:
    answer = upload(operator_client, "p,note,TCP,p.corp.example,08.10.2026,,x,Enabled")
    assert "ports: “08.10.2026” is a date, which a spreadsheet made of a range such as 8-10." in answer.text
    assert "<td>2</td>" in answer.text and not Application.objects.exists()


def test_an_export_has_the_search_of_its_list(operator_client: Client) -> None:
    factories.application("wiki", addresses=["wiki.example"])
    factories.application("mail", addresses=["mail.example"])
    page = operator_client.get("/sase/applications/", {"q": "wiki"}).text
    assert "/sase/applications/?q=wiki&amp;format=csv" in page
    for url in ("/sase/applications/?q=wiki&format=csv", f"{EXPORT}?q=wiki"):
        text = operator_client.get(url).getvalue().decode("utf-8-sig")
        assert "wiki.example" in text and "mail.example" not in text


def test_one_of_the_same_name_is_brought_up_to_the_file(operator_client: Client) -> None:
    factories.application("wiki", addresses=["old.example"], tags=["old"])
    upload(operator_client, "wiki,,TCP,new.example,443,,new,Disabled")
    assert state() == {
        ("wiki", "", "TCP", None, False, ("new.example",), ("443",), frozenset({"new"})),
    }
    assert list(Tag.objects.values_list("name", flat=True)) == ["new"], "a tag nobody carries is forgotten"


def test_an_export_comes_back_as_it_was(operator_client: Client) -> None:
    factories.application("=1+1", addresses=["a.example", "10.0.0.0/8"], ports=[(1, 5), (80, 80)])
    factories.application("loop", addresses=["127.0.0.1"], origin="127.0.0.1:8080", tags=["x y", "z"])
    before, rows = state(), exported(operator_client)
    assert rows[0]["name"] == "'=1+1", "a spreadsheet must not run it"
    Application.objects.all().delete()
    text = operator_client.get(EXPORT).getvalue()
    assert text.decode("utf-8-sig").strip() == f"{HEAD},as_of"
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    upload_of = SimpleUploadedFile("a.csv", b"\xef\xbb\xbf" + file.getvalue().encode())
    assert operator_client.post(IMPORT, {"file": upload_of}).status_code == 302
    assert state() == before


def test_every_bad_line_is_named_and_nothing_is_written(operator_client: Client) -> None:
    factories.application("taken")
    before = state()
    answer = upload(
        operator_client,
        "good,,TCP,good.example,80,,,",
        "one,,TCP,not ok,80,,,",
        "two,,ICMP,a.example,80,,,",
        "three,,TCP,a.example,99999,,,",
        "good,,TCP,b.example,80,,,",
        "four,,TCP,a.example,80,,a; b; c; d; e; f; g,",
        "five,,TCP,a.example,80,,,perhaps",
        ",,TCP,a.example,80,,,",
    )
    text = answer.text
    assert answer.status_code == 422 and "7 lines cannot be taken" in text
    for line, sentence in (
        (3, "is not a host name"),
        (4, "protocol must be"),
        (5, "from 1 to 65535"),
        (6, "given before, in line 2"),
        (7, "at most 6 tags"),
        (8, "status must be"),
        (9, "field cannot be blank"),
    ):
        assert f"<td>{line}</td>" in text and sentence in text, line
    assert state() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "not text in UTF-16"),
        (b"name,ports\na,80", "The first line names no column addresses"),
        (f"{HEAD},color\n".encode(), "The first line names an unknown column “color”"),
        (HEAD.encode(), "no line below the one that names the columns"),
        (
            f"{HEAD}\na,,,a.example,80,,,,b\n".encode(),
            "The line has 9 cells; the first line names 8 columns.",
        ),
        (f'{HEAD}\n"a'.encode(), "a quotation mark opens a cell and none closes it"),
        ((HEAD + "\n" + "a,,,a.example,80,,,\n" * 1001).encode(), "more than 1,000"),
    ],
)
def test_what_is_no_such_file_is_refused(operator_client: Client, content: bytes, sentence: str) -> None:
    answer = operator_client.post(IMPORT, {"file": SimpleUploadedFile("x.csv", content)})
    assert answer.status_code == 422 and sentence in answer.text
    assert not Application.objects.exists()


def test_a_file_must_be_chosen(operator_client: Client) -> None:
    assert operator_client.post(IMPORT).status_code == 422
    assert not Application.objects.exists()


def test_tags_are_written_in_the_panel_and_found_by_the_search(operator_client: Client) -> None:
    form = {"name": "wiki", "protocol": "TCP", "addresses": "wiki.example", "ports": "80", "enabled": "on"}
    answer = operator_client.post("/sase/applications/add/", form | {"tags": "office, web,, office"})
    assert answer.status_code == 302
    application = Application.objects.get()
    assert {tag.name for tag in application.tags.all()} == {"office", "web"}
    assert all(tag.pk.startswith("tag-") for tag in Tag.objects.all())
    assert 'value="office, web"' in operator_client.get(f"/sase/applications/{application.pk}/").text
    factories.application("mail", addresses=["mail.example"])
    for query, found in (
        ("offic", {"wiki"}),
        ("wiki.exa", {"wiki"}),
        ("example", {"wiki", "mail"}),
        ("no", set()),
    ):
        page = operator_client.get("/sase/applications/", {"q": query}).text
        assert {name for name in ("wiki", "mail") if f"data-panel>{name}</a>" in page} == found, query
    many = operator_client.post("/sase/applications/add/", form | {"name": "x", "tags": "a,b,c,d,e,f,g"})
    assert many.status_code == 422 and "at most 6 tags" in many.text


def test_a_thousand_addresses_are_taken_at_once_and_the_list_shows_the_first(operator_client: Client) -> None:
    lines = "\n".join(f"host{number}.example" for number in range(1000))
    form = {"name": "big", "protocol": "TCP", "addresses": lines, "ports": "80", "enabled": "on"}
    assert operator_client.post("/sase/applications/add/", form).status_code == 302
    assert Application.objects.get().addresses.count() == 1000
    page = operator_client.get("/sase/applications/").text
    assert "host2.example" in page and "host3.example" not in page and "and 997 more" in page
    wrong = lines.replace("host700.example", "host 700")
    answer = operator_client.post("/sase/applications/add/", form | {"name": "x", "addresses": wrong})
    assert answer.status_code == 422 and "Line 701:" in answer.text


def test_a_tag_with_control_characters_is_refused() -> None:
    with pytest.raises(Invalid, match="Tag: The name must be") as refused:
        factories.application(tags=["a\u202eb"])
    assert refused.value.field == "tags"


def test_taking_a_tag_away_cuts_and_giving_one_does_not() -> None:
    from console.models import Cutover

    application = factories.application("wiki", tags=["a"])
    services.application_update(application=application, tags=["a", "b"], actor=ACTOR)
    assert not Cutover.objects.exists()
    services.application_update(application=application, tags=["b"], actor=ACTOR)
    assert Cutover.objects.get().reason == "application.update wiki"


def test_a_file_from_before_a_change_is_refused_line_by_line(operator_client: Client) -> None:
    wiki, mail = factories.application("wiki"), factories.application("mail")
    lines = operator_client.get(EXPORT).getvalue().decode("utf-8-sig").splitlines()
    assert lines[0] == f"{HEAD},as_of"
    services.application_update(application=mail, actor=ACTOR, description="changed since")
    text = "\n".join(lines).replace("wiki,", "wiki,mine", 1).replace("mail,", "mail,mine", 1)
    answer = operator_client.post(IMPORT, {"file": SimpleUploadedFile("a.csv", text.encode())})
    assert answer.status_code == 422 and "mail was changed by test on" in answer.text
    assert "wiki was changed" not in answer.text
    wiki.refresh_from_db()
    mail.refresh_from_db()
    assert (wiki.description, mail.description) == ("", "changed since")
    # Without the number the file means what it says.
    text = "\n".join(line.rpartition(",")[0] for line in text.splitlines())
    assert (
        operator_client.post(IMPORT, {"file": SimpleUploadedFile("a.csv", text.encode())}).status_code == 302
    )


@pytest.mark.parametrize("as_of", ["x", "-1", "9" * 30, "99999999"])
def test_a_number_that_no_export_wrote_is_refused(operator_client: Client, as_of: str) -> None:
    text = f"name,addresses,ports,as_of\nwiki,wiki.corp.example,80,{as_of}"
    answer = operator_client.post(IMPORT, {"file": SimpleUploadedFile("a.csv", text.encode())})
    assert answer.status_code == 422 and "as_of must be the number that the export wrote there" in answer.text
    assert not Application.objects.exists()
