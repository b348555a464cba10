"""Reads of the audit: rows narrowed by time, person, action and object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from console.auditing.check import FAILED
from console.core.models.audit import AuditRow
from console.kit import windows

LONGEST = 200


@dataclass
class Wanted:
    """What a query string asks for; ``problem``: why a time was not taken, a sentence."""

    query: Mapping[str, str]
    problem: str = ""
    values: dict[str, str] = field(default_factory=dict)

    FIELDS = ("from", "to", "zone", "person", "action", "object")

    def __post_init__(self) -> None:
        for name in self.FIELDS:
            if text := self.query.get(name, "").replace("\0", " ").strip()[:LONGEST]:
                self.values[name] = text

    @property
    def rows(self) -> QuerySet[AuditRow]:
        """Return the rows that are asked for. Nothing is read yet."""
        rows = AuditRow.objects.all()
        zone = windows.zone_of(self.values)
        for name, lookup in (("from", "at__gte"), ("to", "at__lt")):
            if text := self.values.get(name):
                try:
                    found = windows.moment(text, name.capitalize(), zone, last=name == "to")
                    rows = rows.filter(**{lookup: found})
                except ValueError as error:
                    self.problem = str(error)
        if action := self.values.get("action"):
            rows = rows.filter(verb=action)
        if person := self.values.get("person"):
            rows = rows.filter(actor__folded=person)
        if thing := self.values.get("object"):
            rows = rows.filter(Q(target=thing) | Q(target_name__folded=thing) | Q(target_kind=thing))
        return rows


def failure(now: datetime) -> AuditRow | None:
    """Return the row of the last verification that failed, unless it is older than two nights. One query."""
    return AuditRow.objects.filter(verb=FAILED, at__gt=now - timedelta(days=2)).first()


def verbs() -> list[str]:
    """Return every verb of the audit, in order. One query."""
    return list(AuditRow.objects.order_by("verb").values_list("verb", flat=True).distinct())


def exported(row: AuditRow) -> dict[str, Any]:
    """Return a row as files have it, with all that its digest covers."""
    names = ("actor", "source", "verb", "target_kind", "target", "target_name", "before", "after")
    values = {name: getattr(row, name) for name in names}
    return {"number": row.pk, "at": row.at.isoformat(), **values, "key": row.key, "digest": row.digest}
