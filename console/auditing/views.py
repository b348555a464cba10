"""Page of the audit: every change with its person, time and address; and its rows as files."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from console import ports
from console.auditing import selectors
from console.core import audit, words
from console.core.access import actor, has_role, shows
from console.core.models.access import User
from console.core.models.audit import AuditRow
from console.exchange import writing
from console.kit import tables

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
    csv=(
        ("number", "pk"),
        ("time", lambda row: row.at.isoformat()),
        ("person", "actor"),
        ("address", "source"),
        ("action", "verb"),
        ("kind", "target_kind"),
        ("object", "target"),
        ("name", "target_name"),
        (
            "changes",
            lambda row: words.sentence(words.changes(row.target_kind, row.before, row.after)),
        ),
        ("digest", "digest"),
    ),
)
AUDIT = audit.Matter("audit", "Audit")


@shows("viewer")
def audit_list(request: HttpRequest) -> HttpResponseBase:
    wanted = selectors.Wanted(request.GET)
    page = TABLE.page(request, wanted.rows)
    for row in page.rows:
        row.changes = words.changes(row.target_kind, row.before, row.after)
        row.kind_label, row.url = words.kind_label(row.target_kind), place(row, actor(request))
    context: dict[str, Any] = {"wanted": wanted, "verbs": selectors.verbs(), "fields": dict(wanted.values)}
    context["failure"] = selectors.failure(timezone.now())
    return tables.render(request, "console/audit/list.html", page, context, of=AUDIT)


@shows("viewer")
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    return TABLE.file(request, selectors.Wanted(request.GET).rows, of=AUDIT)


@shows("viewer")
def audit_json(request: HttpRequest) -> StreamingHttpResponse:
    """Send rows as a JSON array with all that digests cover, line by line."""
    writing.note(request, "audit.json", of=AUDIT)
    response = StreamingHttpResponse(_json(_rows(request)), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="audit.json"'
    response["Cache-Control"] = "no-store"
    return response


def place(row: AuditRow, user: User) -> str:
    """Return the URL of the page on which the row's object lives; "" where the user has none to go to."""
    name = ports.places.get(row.target_kind, "")
    gone = not row.target or row.verb.endswith(".delete")
    if not name or gone or not _opens(name, user):
        return ""
    try:
        return reverse(name, args=[row.target])
    except NoReverseMatch:
        pass
    try:
        return f"{reverse(name)}?{urlencode({'q': row.target})}"
    except NoReverseMatch:
        return ""


def _opens(name: str, user: User) -> bool:
    """Return whether a user may open pages of a URL's name: those of users are for administrators."""
    if name.startswith("users:"):
        return has_role(user, "administrator")
    return user.is_staff or not name.startswith("admin:")


def _rows(request: HttpRequest) -> Iterator[AuditRow]:
    rows: QuerySet[AuditRow] = TABLE.all_rows(request, selectors.Wanted(request.GET).rows)
    return rows.iterator(chunk_size=2000)


def _json(rows: Iterator[AuditRow]) -> Iterator[str]:
    yield "["
    between = "\n"
    for row in rows:
        yield between + json.dumps(selectors.exported(row), sort_keys=True)
        between = ",\n"
    yield "\n]\n"
