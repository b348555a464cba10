"""Counts of related rows, as subqueries for the selectors."""

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce


def count_of(rows: QuerySet[Any], column: str) -> Coalesce:
    """Count the ``rows`` that name the outer row in ``column``; no join, because two counts would multiply."""
    mine = rows.filter(**{column: OuterRef("pk")}).order_by()
    counted = mine.values(column).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))
