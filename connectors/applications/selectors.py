"""Applications as their list shows them: found by a word, with policies counted and the first few rows of each."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from connectors.applications.models import Application, ApplicationAddress, ApplicationPorts
from connectors.policies.models.policies import Policy
from console.kit.counts import count_of

SHOWN = 3

FirstRows = dict[str, tuple[list[tuple], int]]
"""Application → its first rows, and how many rows it has."""


def applications_to_page() -> QuerySet[Application]:
    """Applications with ``policies_count`` and their tags, in two queries."""
    return Application.objects.annotate(policies_count=_policies_count()).prefetch_related("tags")


def matching(rows: QuerySet, word: str) -> QuerySet:
    """Narrow applications to a word in name, id, description, address or tag; subqueries list each only once."""
    by_address = ApplicationAddress.objects.filter(address__folded=word).values("application")
    by_tag = Application.tags.through.objects.filter(tag__name__folded=word).values("application")
    own = Q(name__folded=word) | Q(pk__folded=word) | Q(description__folded=word)
    return rows.filter(own | Q(pk__in=by_address) | Q(pk__in=by_tag))


def first_addresses(applications: Sequence[str]) -> FirstRows:
    """Return (address,) of the first few addresses of each application. Run one query."""
    return _first(ApplicationAddress.objects.filter(application__in=applications), "id", "address")


def first_ports(applications: Sequence[str]) -> FirstRows:
    """Return (begin, end) of the first few port ranges of each application. Run one query."""
    return _first(ApplicationPorts.objects.filter(application__in=applications), "begin", "begin", "end")


def _first(rows: QuerySet, order: str, *columns: str) -> FirstRows:
    """Number the rows of each application and fetch the first few: an application may have a thousand."""
    by_application = F("application_id")
    numbered = rows.order_by().annotate(
        place=Window(RowNumber(), partition_by=by_application, order_by=F(order).asc()),
        number=Window(Count("pk"), partition_by=by_application),
    )
    found: FirstRows = defaultdict(lambda: ([], 0))
    shown = numbered.filter(place__lte=SHOWN).order_by("application_id", "place")
    for application, number, *values in shown.values_list("application_id", "number", *columns):
        found[application] = (found[application][0] + [tuple(values)], number)
    return found


def _policies_count() -> Any:
    """Count the policies that name an application, by itself or by a tag of it; no policy does both."""
    own = OuterRef("pk")
    by_name = count_of(Policy.applications.through.objects.all(), "application")
    through: Any = Policy.tags.through
    tagged = through.objects.filter(tag__applications=own).order_by().annotate(one=Value(1))
    by_tag = tagged.values("one").annotate(number=Count("policy", distinct=True)).values("number")
    return by_name + Coalesce(Subquery(by_tag, output_field=IntegerField()), 0)
