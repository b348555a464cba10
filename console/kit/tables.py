"""Lists: paging, sorting, searching and filtering, all of it in the query string, in two queries.

A list is declared once (``Table``) and asked per request (``Table.page``). Whatever a query string says, a page comes
out: values that make no sense are ignored or moved to the nearest that does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Literal

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render as render_template
from django.utils.functional import cached_property

from console.core import audit, folding
from console.kit import table_csv, web

SIZES = (20, 50, 100)
DEFAULT_SIZE = 50
LONGEST_QUERY = 200
MOST_WORDS = 8
# Hits of a search in a large table that are counted and shown at most; more call for another word.
MOST_HITS = 1000

Choices = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Column:
    """A column. ``order_by``: the fields that sort it, if it can be sorted. ``width``: a class of tables.css."""

    key: str
    label: str
    order_by: tuple[str, ...] = ()
    align: Literal["start", "end"] = "start"
    width: Literal["", "xs", "s", "m"] = ""

    @property
    def classes(self) -> str:
        """CSS classes of the head; "" for an ordinary column."""
        align = f"align-{self.align}" if self.align != "start" else ""
        return f"{align} {f'width-{self.width}' if self.width else ''}".strip()


@dataclass(frozen=True)
class Filter:
    """A drop-down above the list. ``apply`` narrows the queryset by one of the ``choices``' values.

    Without ``apply`` the value is that of the field called ``key``.
    """

    key: str
    label: str
    choices: Choices | Callable[[HttpRequest], Choices]
    apply: Callable[[QuerySet, str], QuerySet] | None = None

    def options(self, request: HttpRequest) -> Choices:
        return self.choices(request) if callable(self.choices) else self.choices


def switch_filter(key: str, label: str) -> Filter:
    """Make the filter of rows that are enabled or not."""
    choices = [("on", "Enabled"), ("off", "Disabled")]
    return Filter(key, label, choices, lambda rows, value: rows.filter(enabled=value == "on"))


@dataclass(frozen=True)
class Table:
    """A list's declaration.

    ``row_template`` draws one ``<tr>`` from ``row``; ``search`` names the fields a word is looked for in,
    ``find`` is a search of the table's own, which narrows to the rows that match one word;
    ``default_sort`` is a column's key, with ``-`` for descending; ``empty`` and ``empty_hint`` say what stands in an
    empty list and what to do next; ``live_seconds`` is how often it is refreshed in place, 0 for never; ``id`` is the
    element htmx replaces, so that a second table on one page needs another. ``large``, for many thousand rows: a page's
    keys are found first and its rows read by them, so that rows passed over cost no join and no annotation, and a
    search looks through the table once. ``kept`` names what a form of the page's own adds to the query string to narrow
    the rows. ``csv``: the columns of the list as CSV, each with its value, for ``format=csv`` in the query string.
    """

    columns: tuple[Column, ...]
    row_template: str
    search: tuple[str, ...] = ()
    find: Callable[[QuerySet, str], QuerySet] | None = None
    search_label: str = "Search by name or ID"
    filters: tuple[Filter, ...] = ()
    default_sort: str = ""
    id: str = "table"
    label: str = ""
    empty: str = "Nothing here yet"
    empty_hint: str = ""
    empty_template: str = "components/table_empty.html"
    live_seconds: int = 0
    large: bool = False
    kept: tuple[str, ...] = ()
    csv: table_csv.Columns = ()

    def page(self, request: HttpRequest, queryset: QuerySet, dress: "Dress | None" = None) -> "Page":
        """Return the rows the query string asks for: a query to count, and one for the rows unless there are none.

        ``dress`` adds to rows what their template and ``csv`` show beside columns of the database.
        """
        return Page(self, request, queryset, dress)

    def file(
        self,
        request: HttpRequest,
        queryset: QuerySet,
        dress: "Dress | None" = None,
        of: audit.Target | None = None,
    ) -> HttpResponseBase:
        """Answer with the list as CSV, whatever ``format`` says: for a file with an address of its own."""
        return table_csv.answer(Page(self, request, queryset, dress, read=False), of)

    def all_rows(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Return every row that the query string's search and filters let through, in its order: for exports."""
        return Page(self, request, queryset, read=False).found


# Function that adds to the rows of a page what they show.
Dress = Callable[[list[Any]], object]


@dataclass(frozen=True)
class Header:
    column: Column
    url: str
    direction: Literal["", "ascending", "descending"]


class Page:
    """A table as one request asks for it; ``components/table.html`` draws it as ``table``."""

    def __init__(
        self,
        table: Table,
        request: HttpRequest,
        queryset: QuerySet,
        dress: Dress | None = None,
        *,
        read: bool = True,
    ) -> None:
        self.table = table
        self.request = request
        self.queryset = queryset
        self.dress = dress
        self.as_csv = bool(table.csv) and request.GET.get("format") == "csv"
        self.q = " ".join(request.GET.get("q", "").replace("\0", " ")[:LONGEST_QUERY].split())
        self.size = self._legal_size(request.GET.get("size", ""))
        self.sort = self._legal_sort(request.GET.get("sort", ""))
        self.filters = [(item, *self._chosen(item)) for item in table.filters]
        narrowed = self._narrowed(queryset)
        self.found = self._ordered(narrowed)
        self.more = False
        self._hits: list[Any] | None = None
        self.total = self._count(narrowed) if read and not self.as_csv else 0
        self.pages = max(1, -(-self.total // self.size))
        self.number = min(max(1, _whole(request.GET.get("page", ""), 1)), self.pages)
        start = (self.number - 1) * self.size
        self.rows: list[Any] = self._read(start) if self.total else []
        if dress is not None and self.rows:
            dress(self.rows)
        self.first = start + 1 if self.rows else 0
        self.last = start + len(self.rows)

    def _count(self, narrowed: QuerySet) -> int:
        """Count the rows; a search of a large table notes the hits' keys instead, up to ``MOST_HITS``."""
        if not (self.table.large and self.q):
            return narrowed.count()
        hits = list(self.found.values_list("pk", flat=True)[: MOST_HITS + 1])
        self.more, self._hits = len(hits) > MOST_HITS, hits[:MOST_HITS]
        return len(self._hits)

    def _read(self, start: int) -> list[Any]:
        page: Any = self.found[start : start + self.size]
        if self.table.large:
            keys = page.values("pk") if self._hits is None else self._hits[start : start + self.size]
            page = self._ordered(self.queryset.filter(pk__in=keys))
        return list(page)

    @property
    def narrowed(self) -> bool:
        """Return whether a search or a filter is in force, so that an empty list does not mean an empty world."""
        return bool(self.q or self._kept) or any(value for _, _, value in self.filters)

    @cached_property
    def headers(self) -> list[Header]:
        return [self._header(column) for column in self.table.columns]

    @property
    def searchable(self) -> bool:
        return bool(self.table.search or self.table.find)

    @property
    def query(self) -> str:
        """Query string of search, filters and order, for links that keep them; with its question mark."""
        _, mark, rest = self.url().partition("?")
        return mark + rest

    @property
    def csv_url(self) -> str:
        """Address of the rows as CSV; "" for a list that has no file."""
        return self.url(format="csv") if self.table.csv else ""

    @property
    def sizes(self) -> tuple[int, ...]:
        return SIZES

    @property
    def all_url(self) -> str:
        return self.request.path

    @property
    def own_url(self) -> str:
        return self.url(page=self.number)

    @property
    def links(self) -> Iterator[tuple[int | None, str]]:
        """Yield (page number, its URL) round the present page; (None, "") where numbers were left out."""
        near = {1, self.pages} | set(range(self.number - 2, self.number + 3))
        before = 0
        for number in sorted(near & set(range(1, self.pages + 1))):
            if number > before + 1:
                yield None, ""
            yield number, self.url(page=number)
            before = number

    @property
    def previous_url(self) -> str:
        return self.url(page=self.number - 1) if self.number > 1 else ""

    @property
    def next_url(self) -> str:
        return self.url(page=self.number + 1) if self.number < self.pages else ""

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Fields that the search form must carry along beside its own."""
        pairs = [("sort", self.sort if self.sort != self.table.default_sort else "")]
        pairs.append(("size", str(self.size) if self.size != DEFAULT_SIZE else ""))
        return [(key, value) for key, value in pairs if value]

    @property
    def hidden_for_size(self) -> list[tuple[str, str]]:
        """Fields that the page-size form must carry along."""
        pairs = [("q", self.q), *((item.key, value) for item, _, value in self.filters)]
        hidden = [pair for pair in (*self._kept, *self.hidden) if pair[0] != "size"]
        return [(key, value) for key, value in pairs if value] + hidden

    def url(self, **changes: Any) -> str:
        """Make the list's URL with ``changes`` (page, sort); parts of the query string that no table knows are kept."""
        query = self.request.GET.copy()
        for key, value in changes.items():
            query[key] = str(value)
        if query.get("page") == "1" or "page" not in changes:
            query.pop("page", None)
        encoded = query.urlencode()
        return f"{self.request.path}?{encoded}" if encoded else self.request.path

    @property
    def _kept(self) -> list[tuple[str, str]]:
        found = ((key, self.request.GET.get(key, "")) for key in self.table.kept)
        return [(key, value) for key, value in found if value]

    def _header(self, column: Column) -> Header:
        if not column.order_by:
            return Header(column, "", "")
        if self.sort.lstrip("-") != column.key:
            return Header(column, self.url(sort=column.key), "")
        descending = self.sort.startswith("-")
        other = column.key if descending else f"-{column.key}"
        return Header(column, self.url(sort=other), "descending" if descending else "ascending")

    def _legal_size(self, asked: str) -> int:
        size = _whole(asked, DEFAULT_SIZE)
        return size if size in SIZES else DEFAULT_SIZE

    def _legal_sort(self, asked: str) -> str:
        sortable = {column.key for column in self.table.columns if column.order_by}
        key = asked[1:] if asked.startswith("-") else asked
        return asked if key in sortable else self.table.default_sort

    def _chosen(self, item: Filter) -> tuple[Choices, str]:
        options = item.options(self.request)
        asked = self.request.GET.get(item.key, "")
        return options, asked if asked in {value for value, _ in options} else ""

    def _narrowed(self, queryset: QuerySet) -> QuerySet:
        for item, _, value in self.filters:
            if value:
                queryset = item.apply(queryset, value) if item.apply else queryset.filter(**{item.key: value})
        for word in self.q.split()[:MOST_WORDS]:
            if self.table.find is not None:
                queryset = self.table.find(queryset, word)
            elif self.table.search:
                names = (folding.looked_for(queryset.model, name) for name in self.table.search)
                queryset = queryset.filter(reduce(or_, (Q(**{name: word}) for name in names)))
        return queryset

    def _ordered(self, queryset: QuerySet) -> QuerySet:
        """Order by the chosen column, then by key, so that equal rows keep their place from page to page."""
        columns = {column.key: column for column in self.table.columns}
        column = columns.get(self.sort.lstrip("-"))
        if column is None:
            ordering = tuple(queryset.query.order_by) or tuple(queryset.model._meta.ordering)
            return queryset.order_by(*self._by_the_rule(queryset, ordering), "pk")
        sign = "-" if self.sort.startswith("-") else ""
        names = ((sign + name).replace("--", "") for name in column.order_by)
        return queryset.order_by(*self._by_the_rule(queryset, names), "pk")

    def _by_the_rule(self, queryset: QuerySet, ordering: Iterable[Any]) -> list[Any]:
        """Return an order in which text that people write goes as people expect, on both databases."""
        model = queryset.model
        return [folding.sorted_by(model, name) if isinstance(name, str) else name for name in ordering]


def _whole(text: str, otherwise: int) -> int:
    """Return the number that ``text`` writes in at most nine ASCII digits, else ``otherwise``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def render(
    request: HttpRequest,
    template: str,
    table: Page,
    context: Mapping[str, Any] | None = None,
    *,
    of: audit.Target | None = None,
) -> HttpResponseBase:
    """Render the whole page, or the table alone for htmx aimed at it, with the same context; or send the rows as CSV.

    ``of``: the object whose rows they are, for the audit; without one all objects of the kind.
    """
    if table.as_csv:
        return table_csv.answer(table, of)
    if web.htmx_target(request) == table.table.id:
        template = "components/table.html"
    return render_template(request, template, {**(context or {}), "table": table})
