"""How services write: a sentence for whatever is in the way, even when somebody else was quicker by a moment."""

from typing import Any

import pytest
from django.db.models import Model

from connectors.models import Connector
from console import ports
from console.core import saving
from console.core.errors import Conflict, Invalid
from console.models import Region

pytestmark = pytest.mark.django_db


def named(name: str) -> Connector:
    return Connector(name=name, region=Region.objects.get(pk="cn-shanghai"))


def overtaken(row: Connector) -> Connector:
    """Another row of the same name is written just after this one was checked."""

    def full_clean(*args: Any, **options: Any) -> None:
        Connector.full_clean(row, *args, **options)
        named(row.name).save()

    row.full_clean = full_clean  # type: ignore[method-assign]
    return row


def test_a_refusal_names_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        saving.save(named(""))
    assert refused.value.field == "name"
    saving.save(named("office"))
    with pytest.raises(Invalid, match="another connector") as refused:
        saving.save(named("office"))
    assert refused.value.field == "name"


def test_who_comes_second_gets_the_same_sentence_as_a_conflict() -> None:
    saving.save(named("office"))
    with pytest.raises(Invalid) as refused:
        saving.save(named("office"))
    with pytest.raises(Conflict) as conflict:
        saving.save(overtaken(named("branch")))
    assert conflict.value.message == refused.value.message and conflict.value.field == "name"
    assert Connector.objects.filter(name="branch").count() == 1


def test_only_what_differs_is_written_and_told() -> None:
    row = saving.save(named("office"))
    told: list[Model] = []
    ports.rows_written.add(told.append)
    try:
        Connector.objects.filter(pk=row.pk).update(enabled=False)
        assert saving.change(row, name="office") == ({}, {}) and told == []
        assert saving.change(row, name="branch") == ({"name": "office"}, {"name": "branch"})
    finally:
        ports.rows_written.remove(told.append)
    row.refresh_from_db()
    assert (row.name, row.enabled, told) == ("branch", False, [row]), "what somebody else wrote stays"
