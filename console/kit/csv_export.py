"""CSV files to download: streamed, noted in the audit, and harmless to the spreadsheet that opens them."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import transaction
from django.http import StreamingHttpResponse

from console.core import audit

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


def download(
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    by: audit.Actor,
    of: audit.Target,
    narrowed: dict[str, str] | None = None,
) -> StreamingHttpResponse:
    """Answer with a file as `plain` does, and note in the audit who took what.

    ``of``: the object whose data it is; ``narrowed``: by what the rows were chosen.
    """
    note(name, by=by, of=of, narrowed=narrowed)
    return plain(name, header, rows)


@transaction.atomic
def note(name: str, *, by: audit.Actor, of: audit.Target, narrowed: dict[str, str] | None = None) -> None:
    """Note in the audit that a file was taken out of the console."""
    after: dict[str, Any] = {"file": name} | ({"narrowed": narrowed} if narrowed else {})
    audit.record(actor=by, verb="export.take", target=of, after=after)


def plain(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Answer with a file called ``name``, sent line by line while ``rows`` are read. For files that tell nothing."""
    response = StreamingHttpResponse(lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
