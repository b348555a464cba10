"""Pages of the log-in history: a user sees the own one, an administrator that of all."""

from datetime import timedelta

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from console.core import audit
from console.core.access import actor, has_role, shows
from console.core.models.access import User
from console.core.models.audit import AuditRow
from console.kit import tables
from console.users import selectors

OUTCOMES = [(outcome, word) for outcome, (_, word) in selectors.WORDS.items()]
PERIODS = [("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days")]


def _within(rows: QuerySet, days: str) -> QuerySet:
    return rows.filter(at__gt=timezone.now() - timedelta(days=int(days)))


def _whose(request: HttpRequest) -> tables.Choices:
    return [("own", "Mine")] if has_role(request.user, "administrator") else []


TABLE = tables.Table(
    columns=(
        tables.Column("at", "Time", ("id",)),
        tables.Column("who", "User name"),
        tables.Column("outcome", "Outcome", ("verb",)),
        tables.Column("source", "From", ("source",)),
        tables.Column("details", "Details"),
    ),
    row_template="console/users/_history_row.html",
    search=("target_name", "source"),
    search_label="Search by name or address",
    filters=(
        tables.Filter(
            "outcome",
            "Outcome",
            OUTCOMES,
            lambda rows, outcome: rows.filter(verb=selectors.VERBS[outcome]),
        ),
        tables.Filter("period", "Time", PERIODS, _within),
    ),
    default_sort="-at",
    label="Log-in history",
    empty="Nobody has logged in yet",
    empty_hint="Failed log-ins of a minute appear when the minute is over.",
    large=True,
    kept=("whose",),
    csv=(
        ("time", lambda row: row.at.isoformat()),
        ("users", "who"),
        ("outcome", lambda row: row.outcome[1]),
        ("address", "source"),
        ("details", "details"),
    ),
)


def _rows(request: HttpRequest) -> tuple[QuerySet[AuditRow], User | None]:
    """Return the rows that the caller may see and asks for, and whose they are; None for those of all."""
    if has_role(request.user, "administrator") and request.GET.get("whose") != "own":
        return selectors.history(), None
    return selectors.history_of(actor(request)), actor(request)


@shows("viewer")
def log_in_list(request: HttpRequest) -> HttpResponseBase:
    rows, whose = _rows(request)
    page = TABLE.page(request, rows, lambda found: selectors.told(found, whose))
    context = {"whose": whose, "of_all": has_role(request.user, "administrator")}
    of = audit.Matter("user", whose.username if whose else "all users")
    return tables.render(request, "console/users/history.html", page, context, of=of)
