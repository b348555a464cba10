"""Tables that come in: rows of a CSV file, whichever program wrote it, each with its line and what is wrong with it."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from console.core.errors import Invalid
from console.exchange import cells, encodings

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# The first line by which a file tells Excel its delimiter.
_SEP = re.compile(r'"?sep=([,;\t|])"?[,;\t| ]*(?:\r\n|\r|\n|$)', re.I)


@dataclass(frozen=True)
class Sheet:
    """What a file may hold: its columns, those that it must have, and how much of ``things`` is taken at once.

    ``passed_over``: columns of an export that the import does not take.
    """

    things: str
    columns: tuple[str, ...]
    needed: tuple[str, ...]
    most_rows: int
    most_bytes: int
    passed_over: tuple[str, ...] = ()

    @property
    def limits(self) -> str:
        return f"At most {self.most_bytes // 1_000_000} MB and {self.most_rows:,} {self.things}."


@dataclass
class Row:
    """Row of a file. ``number``: its line; ``cells``: column → text, "" for none; ``problems``: sentences."""

    number: int
    cells: dict[str, str]
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """Rows of a file, and in ``told`` how the file was read: “UTF-8, separated by commas”."""

    rows: list[Row]
    told: str


def read(content: bytes | str, sheet: Sheet, *, encoding: str = "", language: str = "") -> Table:
    """Read a file or pasted text. Raises ``Invalid``, with the field ``file``, for what is no such table."""
    if len(content) > sheet.most_bytes:
        raise Invalid(f"The file is larger than {sheet.most_bytes // 1_000_000} MB. Split it.", field="file")
    text, found = content, ""
    if isinstance(content, bytes):
        text, found = encodings.decode(content, encoding=encoding, language=language)
    text = str(text).removeprefix("\ufeff")
    if (nul := text.find("\0")) >= 0:
        line = len(re.findall(r"\r\n|\r|\n", text[:nul])) + 1
        raise Invalid(f"Line {line} holds a NUL character, so the file is no text.", field="file")
    text, skipped, delimiter = _told_delimiter(text)
    delimiter = delimiter or _delimiter(text, sheet)
    rows = _rows(text, delimiter, skipped, sheet)
    told = f"separated by {DELIMITERS.get(delimiter, delimiter)}"
    return Table(rows, f"{encodings.LABELS[found]}, {told}" if found else told)


def _told_delimiter(text: str) -> tuple[str, int, str]:
    """Return the text without its line ``sep=;``, how many lines that was, and the delimiter that the line tells."""
    told = _SEP.match(text)
    return (text[told.end() :], 1, told[1]) if told else (text, 0, "")


def _key(name: str) -> str:
    """Return a column's name without case, spaces and signs: “User Name”, “user_name” and “username” are one."""
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())


def _delimiter(text: str, sheet: Sheet) -> str:
    """Return the delimiter by which the first line names most columns of the sheet."""
    known = {_key(name) for name in (*sheet.columns, *sheet.passed_over)}

    def named(delimiter: str) -> tuple[int, int]:
        try:
            head = next((found for _, found in _records(text, delimiter) if _holds(found)), [])
        except Invalid:
            return 0, 0
        return sum(_key(name) in known for name in head), len(head)

    return max(DELIMITERS, key=named)


def _holds(found: list[str]) -> bool:
    return any(each.strip() for each in found)


def _records(text: str, delimiter: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Invalid(f"Line {line} is no CSV: {_reason(error)}.", field="file") from error
        yield line, found


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quotation mark opens a cell and none closes it"
    if "expected after" in str(error):
        return "a quotation mark inside a cell must be written twice"
    return "a cell has more than 131,072 characters" if "field limit" in str(error) else str(error)


def _rows(text: str, delimiter: str, skipped: int, sheet: Sheet) -> list[Row]:
    records = ((line, found) for line, found in _records(text, delimiter, skipped) if _holds(found))
    _, head = next(records, (0, None))
    if head is None:
        raise Invalid("The file is empty. Its first line names the columns.", field="file")
    names = _names(head, sheet)
    rows = []
    for line, found in records:
        rows.append(_row(line, found, names, sheet))
        if len(rows) > sheet.most_rows:
            raise Invalid(
                f"The file has more than {sheet.most_rows:,} {sheet.things}. Split it.", field="file"
            )
    if not rows:
        raise Invalid("The file has no line below the one that names the columns.", field="file")
    return rows


def _names(head: list[str], sheet: Sheet) -> list[str]:
    """Return the columns that the first line names, as the sheet calls them."""
    known = {_key(name): name for name in (*sheet.passed_over, *sheet.columns)}
    given = [cells.cleaned(name) for name in head]
    while given and not given[-1]:
        given.pop()
    legal = ", ".join(sheet.columns)
    unknown = [f"“{cells.visible(name[:40])}”" for name in given if _key(name) not in known]
    if unknown:
        columns = "unknown columns" if len(unknown) > 1 else "an unknown column"
        raise Invalid(
            f"The first line names {columns} {', '.join(unknown[:10])}; legal are {legal}.",
            field="file",
        )
    names = [known[_key(name)] for name in given]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Invalid(f"The first line names the column {twice[0]} twice.", field="file")
    missing = [name for name in sheet.needed if name not in names]
    if missing:
        raise Invalid(
            f"The first line names no column {', '.join(missing)}; legal are {legal}.", field="file"
        )
    return names


def _row(line: int, found: list[str], names: list[str], sheet: Sheet) -> Row:
    """Read a record; cells that are left out at its end are empty, as spreadsheets leave them out."""
    while found and not found[-1].strip():
        found.pop()
    row = Row(line, dict.fromkeys(sheet.columns, ""))
    if len(found) > len(names):
        row.problems.append(f"The line has {len(found)} cells; the first line names {len(names)} columns.")
    for name, text in zip(names, found, strict=False):
        if name in row.cells:
            row.cells[name] = cells.cleaned(text)
            if told := cells.spoilt(text):
                row.problems.append(f"{name}: {told}")
    return row
