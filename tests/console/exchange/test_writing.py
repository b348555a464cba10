"""Tables that go out: separated as the spreadsheets of the browser's language expect, and numbers with their sign."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import RequestFactory

from console.exchange import writing


@pytest.mark.parametrize(
    ("language", "query", "dialect"),
    [
        (None, "", (",", ".")),
        ("*", "", (",", ".")),
        ("en-US,en;q=0.9,de;q=0.8", "", (",", ".")),
        ("de-DE,de;q=0.9,en;q=0.8", "", (";", ",")),
        ("de-CH", "", (";", ".")),
        ("pt-BR", "", (";", ",")),
        ("es-MX,es;q=0.9", "", (",", ".")),
        ("zh-CN", "", (",", ".")),
        ("de", "?delimiter=comma", (",", ".")),
        ("en", "?delimiter=semicolon", (";", ".")),
        ("en", "?delimiter=tab", ("\t", ".")),
        ("de", "?delimiter=%00", (";", ",")),
        ("xx;;q=9,\0", "", (",", ".")),
    ],
)
def test_the_dialect_is_that_of_the_browsers_language(
    language: str | None, query: str, dialect: tuple[str, str]
) -> None:
    request = RequestFactory().get(f"/{query}", headers={"Accept-Language": language} if language else {})
    found = writing.dialect(request)
    assert (found.delimiter, found.decimal) == dialect


def test_values_are_written_for_people_and_spreadsheets() -> None:
    row = (
        1.5,
        Decimal("2.500"),
        -3,
        True,
        None,
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ["a", "b"],
        "1.5",
    )
    text = "".join(writing.lines(["x"] * 8, [row], writing.Dialect(";", ",")))
    assert text.splitlines()[1] == '1,5;2,500;-3;yes;;2026-01-02T03:04:05+00:00;"a; b";\'1.5'
    assert text.startswith("\ufeff"), "spreadsheets know UTF-8 by the mark"
