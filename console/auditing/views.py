"""Page of the audit: every change with its person, time and address; and its rows as files."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from console import ports
from console.auditing import selectors
from console.core import audit, words
from console.core.access import actor, shows
from console.core.models.access import User
from console.core.models.audit import AuditRow
from console.kit import csv_export, tables

TABLE = tables.Table(
    columns=(
        tables.Column("at", "Time", ("id",)),
        tables.Column("actor", "Who", ("actor",)),
        tables.Column("source", "From"),
        tables.Column("verb", "Action", ("verb",)),
        tables.Column("target", "Object", ("target_kind", "target_name")),
        tables.Column("changes", "Before → after"),
    ),
    row_template="console/audit/_row.html",
    default_sort="-at",
    label="Audit",
    empty="Nothing was changed yet",
    empty_hint="Every change, made through any door, is listed here.",
    large=True,
    kept=selectors.Wanted.FIELDS,
)
CSV = ("number", "time", "person", "address", "action", "kind", "object", "name", "changes", "digest")
AUDIT = audit.Matter("audit", "Audit")


@shows("viewer")
def audit_list(request: HttpRequest) -> HttpResponse:
    wanted = selectors.Wanted(request.GET)
    page = TABLE.page(request, wanted.rows)
    for row in page.rows:
        row.changes = words.changes(row.target_kind, row.before, row.after)
        row.kind_label, row.url = words.kind_label(row.target_kind), place(row, actor(request))
    context: dict[str, Any] = {"wanted": wanted, "verbs": selectors.verbs(), "fields": dict(wanted.values)}
    context["failure"] = selectors.failure(timezone.now())
    return tables.render(request, "console/audit/list.html", page, context)


@shows("viewer")
def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    lines = (_line(row) for row in _rows(request))
    return csv_export.download(
        "audit.csv", CSV, lines, by=actor(request), of=AUDIT, narrowed=_narrowed(request)
    )


@shows("viewer")
def audit_json(request: HttpRequest) -> StreamingHttpResponse:
    """Send rows as a JSON array with all that digests cover, line by line."""
    csv_export.note("audit.json", by=actor(request), of=AUDIT, narrowed=_narrowed(request))
    response = StreamingHttpResponse(_json(_rows(request)), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="audit.json"'
    response["Cache-Control"] = "no-store"
    return response


def place(row: AuditRow, user: User) -> str:
    """Return the URL of the page on which the row's object lives; "" where the user has none to go to."""
    name = ports.places.get(row.target_kind, "")
    gone = not row.target or row.verb.endswith(".delete")
    if not name or gone or (name.startswith("admin:") and not user.is_staff):
        return ""
    try:
        return reverse(name, args=[row.target])
    except NoReverseMatch:
        pass
    try:
        return f"{reverse(name)}?{urlencode({'q': row.target})}"
    except NoReverseMatch:
        return ""


def _rows(request: HttpRequest) -> Iterator[AuditRow]:
    rows: QuerySet[AuditRow] = TABLE.all_rows(request, selectors.Wanted(request.GET).rows)
    return rows.iterator(chunk_size=2000)


def _narrowed(request: HttpRequest) -> dict[str, str]:
    return dict(selectors.Wanted(request.GET).values)


def _line(row: AuditRow) -> tuple[Any, ...]:
    changed = words.sentence(words.changes(row.target_kind, row.before, row.after))
    what = (row.verb, row.target_kind, row.target, row.target_name, changed)
    return row.pk, row.at.isoformat(), row.actor, row.source, *what, row.digest


def _json(rows: Iterator[AuditRow]) -> Iterator[str]:
    yield "["
    between = "\n"
    for row in rows:
        yield between + json.dumps(selectors.exported(row), sort_keys=True)
        between = ",\n"
    yield "\n]\n"
