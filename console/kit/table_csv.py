"""A list as CSV: the rows that its search and filters let through, in its order, with the columns of ``Table.csv``."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.http import StreamingHttpResponse
from django.utils.text import slugify

from console.core import audit
from console.exchange import writing

if TYPE_CHECKING:
    from console.kit.tables import Page

# Rows that are read, and dressed, at once.
BATCH = 500
# A value of a row: the names that lead to it, such as "region.name", or a function of the row.
Value = str | Callable[[Any], Any]
Columns = tuple[tuple[str, Value], ...]


def answer(page: "Page", of: audit.Target | None = None) -> StreamingHttpResponse:
    """Send the rows while they are read, and note in the audit who took them.

    ``of``: the object whose rows they are; without one all objects of the kind.
    """
    columns = page.table.csv
    name = slugify(page.table.label)
    if of is None:
        of = audit.Matter(page.queryset.model._meta.model_name or "", f"all {page.table.label.lower()}")
    elif key := getattr(of, "pk", ""):
        name = f"{key}-{name}"
    rows = (tuple(_value(row, value) for _, value in columns) for row in _dressed(page))
    return writing.download(page.request, f"{name}.csv", [head for head, _ in columns], rows, of=of)


def _dressed(page: "Page") -> Iterator[Any]:
    found = iter(page.found.iterator(chunk_size=BATCH))
    while rows := list(islice(found, BATCH)):
        if page.dress is not None:
            page.dress(rows)
        yield from rows


def _value(row: Any, wanted: Value) -> Any:
    if callable(wanted):
        return wanted(row)
    for name in wanted.split("."):
        row = None if row is None else getattr(row, name)
        row = row() if callable(row) else row
    return row
