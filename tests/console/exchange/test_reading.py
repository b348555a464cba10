"""Tables that come in: whichever program wrote them, the same rows; what is wrong is named with its line."""

import csv
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.core.errors import Invalid
from console.exchange import cells, reading, writing

SHEET = reading.Sheet(
    "things",
    ("name", "note", "number"),
    ("name",),
    most_rows=100,
    most_bytes=1_000_000,
    passed_over=("created",),
)
PLAIN = "name,note,number\nanna,a note,5\n"


def read(content: bytes | str, **more: Any) -> list[dict[str, str]]:
    return [row.cells for row in reading.read(content, SHEET, **more).rows]


WRITTEN = {
    "comma": PLAIN,
    "semicolon, BOM, CRLF": "\ufeff" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
    "tab": PLAIN.replace(",", "\t"),
    "vertical bar": PLAIN.replace(",", "|"),
    "CR": PLAIN.replace("\n", "\r"),
    "CRCRLF": PLAIN.replace("\n", "\r\r\n"),
    "no end of the last line": PLAIN.strip(),
    "told delimiter": "sep=;\r\n" + PLAIN.replace(",", ";"),
    "told delimiter, quoted": '"sep=|"\n' + PLAIN.replace(",", "|"),
    "all quoted": '"name","note","number"\n"anna","a note","5"\n',
    "empty rows and columns": "\n\nname,note,number,,\n,,,,\nanna,a note,5,,\n,,,,\n,,,,\n",
    "columns in another order": "number,created,name,note\n5,2026-01-01,anna,a note\n",
    "other spelling": "Name ;NOTE; num_ber\nanna;a note;5\n",
    "spaces": " name , note , number \n anna , a note , 5 \n",
    "no-break and zero width spaces": "name,note,number\n\u00a0anna\u200b,\ufeffa note,5\u202f\n",
    "an apostrophe before digits that start with nothing": "name,note,number\nanna,a note,5\n",
    "comma in other cells": 'name;note;number\nanna;"a note";5\n',
}


@pytest.mark.parametrize("content", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("codec", ["", "utf-8", "utf-16", "utf-16-le"])
def test_whatever_wrote_the_file_its_rows_are_the_same(content: str, codec: str) -> None:
    data = content.encode(codec) if codec else content
    assert read(data) == [{"name": "anna", "note": "a note", "number": "5"}]


def test_cells_left_out_at_the_end_are_empty_and_lines_are_counted_as_editors_count() -> None:
    table = reading.read('sep=,\nname,note,number\n"an\nna"\n\n\nbea,x\n', SHEET)
    assert [(row.number, row.cells["name"], row.problems) for row in table.rows] == [
        (3, "an\nna", []),
        (7, "bea", []),
    ]
    assert table.told == "separated by commas"


def test_how_the_file_was_read_is_told() -> None:
    content = "name;note\nanna;Größe\n".encode("cp1252")
    assert reading.read(content, SHEET).told == "Windows-1252 (Western Europe), separated by semicolons"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a,b,1,d", "The line has 4 cells; the first line names 3 columns."),
        ("a,b,2E+03", "number: “2E+03” is a number that a spreadsheet shortened."),
        ('a,"1,23457E+15",', "note: “1,23457E+15” is a number that a spreadsheet shortened."),
        ("a,#REF!,", "note: “#REF!” stands for an error of a spreadsheet."),
        ("a,#####,", "note: “#####” stands for an error of a spreadsheet."),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_its_column(line: str, problem: str) -> None:
    (row,) = reading.read(f"name,note,number\n{line}\n", SHEET).rows
    assert row.number == 2 and problem in row.problems[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The file is empty."),
        ("name\n", "The file has no line below the one that names the columns."),
        ("name,colour,size\nx\n", "names unknown columns “colour”, “size”; legal are name, note, number."),
        ("name,Name\nx\n", "names the column name twice"),
        ("note\nx\n", "names no column name; legal are name, note, number."),
        ('name\na\n"b\n', "Line 3 is no CSV: a quotation mark opens a cell and none closes it."),
        ('name\n"b"c\n', "Line 2 is no CSV: a quotation mark inside a cell must be written twice."),
        ("name\r\nb\r\n\0\r\n", "Line 3 holds a NUL character"),
        ("name\n" + "x\n" * 101, "more than 100 things. Split it."),
        ("name\n" + "x" * 1_000_000, "larger than 1 MB. Split it."),
        ("name\n" + "x" * 140_000, "a cell has more than 131,072 characters"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_table_is_refused_with_the_line_and_what_is_legal(content: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=re.escape(sentence)) as refused:
        reading.read(content, SHEET)
    assert refused.value.field == "file"


# --- There and back ---------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).filter(
    lambda text: cells._AROUND.sub("", text) == text
)
ROWS = st.lists(st.tuples(TEXT.filter(bool), TEXT, TEXT), min_size=1, max_size=5)


def as_saved(data: str, given: str, delimiter: str, newline: str, quoting: int) -> str:
    """What a spreadsheet saves of a file: each cell that it takes for a number, a date or a formula is rewritten."""
    rows = list(csv.reader(io.StringIO(data.removeprefix("\ufeff"), newline=""), delimiter=given))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    for row in rows:
        writer.writerow(["REWRITTEN" if cells.is_rewritten(text) else text for text in row] + ["", ""])
    return out.getvalue() + (delimiter * 4 + newline) * 2


@given(
    rows=ROWS,
    exported=st.sampled_from([writing.Dialect(), writing.Dialect(";", ","), writing.Dialect("\t")]),
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_exported_and_saved_by_any_spreadsheet_comes_back(
    rows: list[tuple[str, str, str]],
    exported: writing.Dialect,
    delimiter: str,
    newline: str,
    quoting: int,
    codec: str,
) -> None:
    file = "".join(writing.lines(SHEET.columns, rows, exported))
    saved = as_saved(file, exported.delimiter, delimiter, newline, quoting).encode(codec)
    assert [tuple(row.values()) for row in read(saved)] == rows
