"""The chain: whatever somebody without the key does to the table shows, and is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from console.core import audit, audit_chain, audit_keys
from console.core.audit_chain import Walk
from console.models import AuditCheckpoint, AuditRow
from tests.console.auditing.chain import rows, verify
from tests.console.forging import as_owner_of_the_table

pytestmark = pytest.mark.django_db
OWN, OTHER = "own-key-" + "1" * 40, "other-key-" + "2" * 40


def without_key(*verbs: str, at: datetime | None = None) -> list[AuditRow]:
    """Add rows as release 0.1 did."""
    for verb in verbs:
        last = AuditRow.objects.order_by("-pk").first()
        row = AuditRow(
            at=at or timezone.now(), actor="test", verb=verb, target_kind="x", target="1", before={}, after={}
        )
        row.digest = audit_chain.digest_without_key(last.digest if last else "", row)
        row.save(force_insert=True)
    return list(AuditRow.objects.order_by("pk"))


def walk() -> Walk:
    return Walk().to_the_end()


def test_an_untouched_chain_holds() -> None:
    found = rows()
    assert verify() == f"3 rows hold, up to row {found[2].pk}.\nHead: {found[2].pk}:{found[2].digest}\n"


def test_no_rows_hold() -> None:
    assert verify().startswith("0 rows hold")


def nested(depth: int) -> Any:
    values: Any = {}
    for _ in range(depth):
        values = {"a": values}
    return values


def altered(found: list[AuditRow], **values: Any) -> None:
    AuditRow.objects.filter(pk=found[1].pk).update(**values)


def swapped(found: list[AuditRow]) -> None:
    one, two = found[0], found[1]
    AuditRow.objects.filter(pk=one.pk).update(verb=two.verb)
    AuditRow.objects.filter(pk=two.pk).update(verb=one.verb)


def chained_without_key(found: list[AuditRow]) -> None:
    """Somebody who knows the program alters a row and chains it, and all after it, as release 0.1 did."""
    previous = found[0].digest
    for row in found[1:]:
        row.verb, row.key = "forged", ""
        row.digest = audit_chain.digest_without_key(previous, row)
        row.save()
        previous = row.digest


def chained_by_another_key(found: list[AuditRow]) -> None:
    key = audit_keys.Key.of(b"causeway.audit", "guessed")
    found[1].verb, found[1].key = "forged", key.name
    found[1].digest = audit.digest(key, found[0].digest, found[1])
    found[1].save()


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        *(
            (lambda found, name=name: altered(found, **{name: "x"}), 1)
            for name in ("actor", "source", "verb", "target")
        ),
        *(
            (lambda found, name=name: altered(found, **{name: "x"}), 1)
            for name in ("target_kind", "target_name")
        ),
        (lambda found: altered(found, before={"a": 1}), 1),
        (lambda found: altered(found, after={}), 1),
        (lambda found: altered(found, at=timezone.now() - timedelta(days=1)), 1),
        (lambda found: altered(found, key=""), 1),
        (lambda found: altered(found, digest="é"), 1),
        (lambda found: altered(found, before=nested(400)), 1),
        (lambda found: found[1].delete(), 2),
        (lambda found: found[0].delete(), 1),
        (swapped, 0),
        (chained_without_key, 1),
        (chained_by_another_key, 1),
    ],
)
def test_what_was_altered_is_named(change: Callable[[list[AuditRow]], Any], broken: int) -> None:
    found = rows()
    key = found[broken].pk
    with as_owner_of_the_table():
        change(found)
    assert (walk().broken, bool(walk().problem)) == (key, True)
    with pytest.raises(CommandError, match=f"Row {key} does not hold: .* rows before hold") as refused:
        verify()
    assert refused.value.returncode == 1


def put_at(number: int) -> None:
    """Add a row of this number as SQL does, which no trigger refuses."""
    values = {"actor": "anna", "verb": "forged", "target_kind": "x", "target": "1", "digest": "0" * 64}
    AuditRow(pk=number, at=timezone.now(), key=audit_keys.all_keys()[0].name, **values).save(
        force_insert=True
    )


@pytest.mark.parametrize("number", [0, -1, -(2**63)])
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_row_before_the_first_is_named(number: int, forgotten: bool) -> None:
    found = rows()
    if forgotten:
        audit_chain.checkpoint_make("forgotten", found[0], timezone.now())
        found[0].delete()
    assert walk().problem == ""
    put_at(number)
    assert (walk().broken, walk().checked) == (number, 0)
    with pytest.raises(CommandError, match=r"does not hold: .*nobody wrote the row"):
        verify()


def test_the_first_row_moved_before_the_first_is_named() -> None:
    found = rows()
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk=found[0].pk).update(id=-7)
    assert (walk().broken, walk().checked) == (-7, 0)


@pytest.mark.parametrize("of", [0, 2])
def test_a_renumbered_row_is_named(of: int) -> None:
    found = rows()
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk__gte=found[of].pk).update(id=F("id") + 100_000)
    moved = found[of].pk + 100_000
    assert (walk().broken, walk().checked) == (moved, of)
    assert "renumbered" in walk().problem
    assert rows("after")[-1].verb == "after", "later rows come after the renumbered ones"
    assert walk().broken == moved


def test_rows_written_before_digests_covered_the_number_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(audit, "digest", audit.digest_without_number)
        rows("old", "older")
    found = rows("new")
    assert (walk().problem, walk().checked) == ("", 3)
    with as_owner_of_the_table():
        altered(found, actor="x")
    assert walk().broken == found[1].pk


def test_no_number_is_used_twice() -> None:
    cut = rows()[-1].pk
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk=cut).delete()
    assert rows("next")[-1].pk > cut


def test_a_head_that_was_kept_tells_of_rows_cut_off() -> None:
    found = rows()
    head = f"{found[2].pk}:{found[2].digest}"
    assert verify("--head", head)
    with as_owner_of_the_table():
        found[2].delete()
    assert verify()
    with pytest.raises(CommandError, match="which was kept as a head, is missing"):
        verify("--head", head)
    with pytest.raises(CommandError, match="not the one that was kept"):
        verify("--head", f"{found[1].pk}:{'0' * 64}")
    with pytest.raises(CommandError, match="must be a number and a hash"):
        verify("--head", "x")


def test_rows_of_release_0_1_hold_by_their_own_rule_up_to_the_mark() -> None:
    old = without_key("a", "b")
    assert "no key" in walk().problem
    audit_chain.checkpoint_make("start", old[-1], timezone.now())
    assert walk().checked == 2
    rows()
    assert (walk().problem, walk().checked) == ("", 5)
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk=old[0].pk).update(verb="forged")
    assert walk().broken == old[0].pk


def test_the_mark_holds_the_old_head() -> None:
    """Rewriting all rows without a key from the beginning, with later ones left out, shows by the mark."""
    old = without_key("a", "b")
    audit_chain.checkpoint_make("start", old[-1], timezone.now())
    with as_owner_of_the_table():
        old[0].verb = "forged"
        for row, previous in ((old[0], ""), (old[1], None)):
            row.digest = audit_chain.digest_without_key(old[0].digest if previous is None else previous, row)
            row.save()
    assert "not the one that the keyed chain began after" in walk().problem
    with as_owner_of_the_table():
        old[1].delete()
        old[0].digest = audit_chain.digest_without_key("", old[0])
    assert "are missing" in walk().problem


def test_a_process_of_release_0_1_may_write_on_for_a_day_and_no_longer() -> None:
    old = without_key("a")
    mark = audit_chain.checkpoint_make("start", old[-1], timezone.now())
    rows("new")
    without_key("by a process that still runs")
    assert walk().problem == ""
    late = without_key("late", at=mark.made_at + audit_chain.OVERLAP + timedelta(hours=1))
    assert (walk().broken, "no key" in walk().problem) == (late[-1].pk, True)


@pytest.mark.parametrize(
    "change", [{"row": 1}, {"digest": "0" * 64}, {"kind": "start"}, {"key": "x"}, {"signature": "x"}]
)
def test_a_made_up_checkpoint_shows(change: dict[str, Any]) -> None:
    found = rows("one", "two", "three", "four")
    mark = audit_chain.checkpoint_make("forgotten", found[2], timezone.now())
    if change.get("row"):
        change = {"row": found[1].pk}
    with as_owner_of_the_table():
        AuditRow.objects.filter(pk__lte=change.get("row", found[2].pk)).delete()
    assert walk().problem == "" or "row" in change
    AuditCheckpoint.objects.filter(pk=mark.pk).update(**change)
    assert walk().problem != ""


def test_keys_are_replaced_by_newer_ones_and_not_back(settings: Settings) -> None:
    rows("by the key from the secret key")
    settings.AUDIT_KEYS = [OWN]
    rows("by a key of its own")
    settings.AUDIT_KEYS = [OTHER, OWN]
    rows("by the next one")
    assert (walk().problem, walk().checked) == ("", 3)
    assert len(set(AuditRow.objects.values_list("key", flat=True))) == 3
    settings.AUDIT_KEYS = [OWN]
    assert "none that this console has" in walk().problem
    settings.AUDIT_KEYS = [OWN, OTHER]
    assert "an older key" in walk().problem


def test_the_secret_key_may_change_while_the_old_one_is_named(settings: Settings) -> None:
    rows()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-" + "3" * 40
    rows()
    assert walk().problem == ""
    settings.SECRET_KEY_FALLBACKS = []
    assert "none that this console has" in walk().problem


def test_a_key_cannot_be_made_from_what_the_database_holds() -> None:
    (row,) = rows("one")
    assert row.key != hashlib.sha256(b"").hexdigest()[:16]
    assert audit_keys.all_keys()[0].secret.hex() not in str(list(AuditRow.objects.values()))
