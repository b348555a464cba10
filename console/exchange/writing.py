"""Tables that go out: CSV that spreadsheets of any language open rightly, sent line by line and noted in the audit."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from console.core import audit
from console.core.access import actor
from console.exchange.cells import cell
from console.exchange.encodings import spoken_language

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
# Parameters of an address that say how a file is written or which page is shown, not which rows are wanted.
NOT_NARROWING = ("format", "delimiter", "page", "size", "sort")
# Languages whose spreadsheets write 1,5 and therefore separate cells by semicolons, and places that are otherwise.
_SEMICOLON = re.compile(
    "(?:af|az|be|bg|bs|ca|cs|da|de|el|es|et|eu|fi|fr|gl|hr|hu|hy|id|is|it|ka|kk|lt|lv|mk|nb|nl|nn|no|pl|pt|ro|ru|sk|sl|"
    "sq|sr|sv|tr|uk|vi)(?:-.*)?"
)
_COMMA = re.compile("es-(?:mx|us|419|gt|hn|ni|pa|pe|pr|sv|do)")
_POINT = re.compile("(?:de|fr|it)-ch|de-li")


@dataclass(frozen=True)
class Dialect:
    """How cells are separated, and which sign fractions have."""

    delimiter: str = ","
    decimal: str = "."


COMMAS = Dialect()


class _Echo:
    def write(self, line: str) -> str:
        return line


def dialect(request: HttpRequest) -> Dialect:
    """Return the dialect of the browser's language; ``delimiter=comma``, ``semicolon`` or ``tab`` asks for another.

    A request without a language, as scripts send, gets commas.
    """
    language = spoken_language(request.headers.get("Accept-Language", ""))
    semicolons = _SEMICOLON.fullmatch(language) and not _COMMA.fullmatch(language)
    asked = DELIMITERS.get(request.GET.get("delimiter", ""), "")
    if asked:
        return Dialect(asked)
    return Dialect(";", "." if _POINT.fullmatch(language) else ",") if semicolons else COMMAS


def lines(header: Sequence[str], rows: Iterable[Sequence[Any]], of: Dialect = COMMAS) -> Iterator[str]:
    """Yield the lines of a file; a byte order mark tells spreadsheets that the file is in UTF-8."""
    writer = csv.writer(_Echo(), delimiter=of.delimiter)
    yield "\ufeff" + writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value, of.decimal) for value in row])


def download(
    request: HttpRequest,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    of: audit.Target,
) -> StreamingHttpResponse:
    """Answer with a file as `plain` does, and note in the audit who took what; ``of``: the object whose data it is."""
    note(request, name, of=of)
    return plain(request, name, header, rows)


@transaction.atomic
def note(request: HttpRequest, name: str, *, of: audit.Target) -> None:
    """Note in the audit that a file was taken out of the console, and by what its rows were chosen."""
    asked = {
        key: str(value)[:200] for key, value in request.GET.items() if value and key not in NOT_NARROWING
    }
    after: dict[str, Any] = {"file": name} | ({"narrowed": asked} if asked else {})
    audit.record(actor=actor(request), verb="export.take", target=of, after=after)


def plain(
    request: HttpRequest, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Answer with a file called ``name``, sent line by line while ``rows`` are read. For files that tell nothing."""
    made = lines(header, rows, dialect(request))
    response = StreamingHttpResponse(made, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept-Language"])
    return response
