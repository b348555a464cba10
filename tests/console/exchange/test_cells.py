"""Cells: no text runs as a formula or is rewritten by a spreadsheet, and every text comes back."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.core.errors import Invalid
from console.exchange import cells

REWRITTEN = [
    "=1+1", "+49 30 1234", "-", "@x", "＝1", "007", "12345678901234567890", "1.10", "1,5", "1.5", "8-10", "1/2",
    "1:30", "1E5", "50%", "5 €", "$5", "TRUE", "wahr", "VRAI", "2026-11-29", "29.11.2026", "3 Mar", "MARCH1", "mai-26",
    "10.100.100.100", "####", "#NAME?", "1e9", "0.10", "1'000",
]  # fmt: skip
KEPT = [
    "", "0", "443", "65535", "alice.ant@example.com", "10.0.0.5", "192.168.1.0/24", "2001:db8::1", "*.corp.example",
    "web1", "marble", "Märchen", "x", "a-b", "80; 443", "8000-8010", "v1.2", "中文",
    "2026-11-29T12:00:00+00:00",
]  # fmt: skip


@pytest.mark.parametrize("text", REWRITTEN)
def test_what_a_spreadsheet_rewrites_is_marked_as_text(text: str) -> None:
    assert cells.cell(text) == f"'{text}"
    assert cells.uncell(cells.cell(text)) == text


@pytest.mark.parametrize("text", KEPT)
def test_what_every_spreadsheet_keeps_stands_as_it_is(text: str) -> None:
    assert cells.cell(text) == text


@given(st.text())
@example("'=1")
@example("''007")
@example("'O’Brien")
def test_no_text_becomes_a_formula_and_every_one_comes_back(value: str) -> None:
    written = cells.cell(value)
    assert not written.startswith(cells.FORMULA)
    assert not cells.is_rewritten(written)
    assert cells.uncell(written) == value


def test_long_digits_are_judged_at_once() -> None:
    """Text of many digits, which a careless pattern would try in every way, is judged like any other."""
    assert cells.is_rewritten("1" * 100_000) and not cells.is_rewritten("1" * 100_000 + "x")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2000", 2000),
        ("2000.0", 2000),
        ("2000,00", 2000),
        ("2.000,00", 2000),
        ("2,000.00", 2000),
        ("0", 0),
        ("1 234 567", 1234567),
        ("1'234'567", 1234567),
        ("1.234.567", 1234567),
    ],
)
def test_a_whole_number_is_read_as_spreadsheets_write_it(text: str, number: int) -> None:
    assert cells.whole(text) == number


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2.000", "may mean 2000 or 2"),
        ("1,500", "may mean 1500 or 1"),
        ("1,5", "is no whole number"),
        ("fast", "is no whole number"),
        ("٣", "is no whole number"),
        ("1\u200b2", "1[U+200B]2"),
        ("9" * 30, "is no whole number"),
        ("-3", "is no whole number"),
    ],
)
def test_what_may_mean_two_numbers_or_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=re.escape(sentence)):
        cells.whole(text)


@pytest.mark.parametrize(
    ("text", "value"), [("WAHR", True), ("faux", False), ("1", True), ("no", False), ("x", None)]
)
def test_truth_is_read_in_other_languages(text: str, value: bool | None) -> None:
    assert cells.truth(text) is value
