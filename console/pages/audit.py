"""Page of the audit: every change with its person, time and address."""

from django.http import HttpRequest, HttpResponse

from console.core.access import shows
from console.core.models.audit import AuditRow
from console.kit import tables

TABLE = tables.Table(
    columns=(
        tables.Column("at", "Time", ("id",)),
        tables.Column("actor", "Who", ("actor",)),
        tables.Column("source", "From"),
        tables.Column("verb", "What", ("verb",)),
        tables.Column("target", "Object", ("target_kind", "target_name")),
        tables.Column("changes", "Before and after"),
    ),
    row_template="console/audit/_row.html",
    search=("actor", "verb", "target", "target_name"),
    search_label="Search by person, action or object",
    default_sort="-at",
    label="Audit",
    empty="Nothing was changed yet",
    empty_hint="Every change, made through any door, is listed here.",
)


@shows("viewer")
def audit_list(request: HttpRequest) -> HttpResponse:
    return tables.render(request, "console/audit/list.html", TABLE.page(request, AuditRow.objects.all()))
