"""Change of the keys that seal secrets: every sealed text is sealed anew by the first key, while the console runs.

No row stays locked: a text is replaced only if it is still the text that was read, so that whoever writes meanwhile
wins. What was done stays done when the change is interrupted; the next one passes it over.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, transaction

from console.core import audit
from console.core.models.version import ConfigVersion
from console.core.sealed import SealedField, Unopened

# So many keys of rows are read at a time.
BATCH = 500


@dataclass(frozen=True)
class Column:
    """A sealed column, with how many of its texts were ``renewed``, were ``current`` already, are still ``older``.

    ``unopened``: texts that no key of the console opens.
    """

    name: str
    renewed: int
    current: int
    older: int
    unopened: int


def columns() -> Iterator[tuple[type[models.Model], SealedField]]:
    """Find the sealed columns of every model by their type."""
    for model in apps.get_models():
        for column in model._meta.local_fields if not model._meta.proxy else []:
            if isinstance(column, SealedField):
                yield model, column


def look() -> list[Column]:
    """Count by which keys texts are sealed, and change nothing."""
    return [_counted(model, column, _place) for model, column in columns()]


def rotate(*, actor: audit.Actor) -> list[Column]:
    """Seal every text anew that another key than the first sealed; return what was done, column by column."""
    done = [_counted(model, column, _renew) for model, column in columns()]
    if renewed := sum(column.renewed for column in done):
        after = {"renewed": renewed, "unopened": sum(column.unopened for column in done)}
        with transaction.atomic():
            version, _ = ConfigVersion.objects.get_or_create(id=1)
            audit.record(actor=actor, verb="secrets.rotate", target=version, after=after)
    return done


def _counted(model: type[models.Model], column: SealedField, deal: Any) -> Column:
    found = Counter(deal(model, column, pk) for pk in _sealed_rows(model, column))
    counts = {word: found[word] for word in ("renewed", "current", "older", "unopened")}
    return Column(f"{model.__name__}.{column.name}", **counts)


def _sealed_rows(model: type[models.Model], column: SealedField) -> Iterator[Any]:
    """Yield the keys of rows whose column is not empty, a batch at a time."""
    sealed = model._base_manager.exclude(**{column.attname: ""}).order_by("pk")
    rows = list(sealed.values_list("pk", flat=True)[:BATCH])
    while rows:
        yield from rows
        rows = list(sealed.filter(pk__gt=rows[-1]).values_list("pk", flat=True)[:BATCH])


def _text(model: type[models.Model], column: SealedField, pk: Any) -> str:
    return model._base_manager.filter(pk=pk).values_list(column.attname, flat=True).first() or ""


def _place(model: type[models.Model], column: SealedField, pk: Any) -> str:
    if not (text := _text(model, column, pk)):
        return "gone"
    try:
        return "older" if column.place_of_key(text) else "current"
    except Unopened:
        return "unopened"


def _renew(model: type[models.Model], column: SealedField, pk: Any) -> str:
    while text := _text(model, column, pk):
        try:
            if column.place_of_key(text) == 0:
                return "current"
            renewed = column.renewed(text)
        except Unopened:
            return "unopened"
        same = model._base_manager.filter(pk=pk, **{column.attname: text})
        if same.update(**{column.attname: renewed}):
            return "renewed"
    return "gone"
