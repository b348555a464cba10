"""CSV files to download: streamed, and harmless to the spreadsheet that opens them."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

# Beginnings that a spreadsheet takes for a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARK = "'"


class _Echo:
    def write(self, line: str) -> str:
        return line


def cell(value: Any) -> str:
    """Write a value as text; one that a spreadsheet would run gets an apostrophe, which spreadsheets hide."""
    text = "" if value is None else str(value)
    return MARK + text if text.startswith(FORMULA) else text


def uncell(text: str) -> str:
    """Return the value that ``cell`` wrote."""
    return text[1:] if text.startswith(MARK) and text[1:].startswith(FORMULA) else text


def lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Answer with a file called ``name``, sent line by line while ``rows`` are read."""
    response = StreamingHttpResponse(lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
