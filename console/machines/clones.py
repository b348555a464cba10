"""Machines that are copies of one another: noticed by their calls, named to people, one of them told to enroll anew."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from console.core import audit
from console.core.errors import Conflict, Forbidden, NotFound
from console.machines.alternation import ENOUGH, LASTING, QUIET, Course, Start
from console.machines.models.machines import MachineKey
from console.machines.models.starts import AgentStart
from edge.protocol.codes import Code
from edge.protocol.marks import Marks

RECENT = timedelta(seconds=QUIET)
# Starts of a machine that are remembered, beside those that were refused.
MOST = 20
SENTENCES = {
    "server": Code.MACHINE_CLONED.sentence,
    "gateway": "This gateway is a copy of another one, and was told in the console to enroll anew. Add another gateway "
    "in the console, and run the command of its Deploy panel here.",
}


class Cloned(Forbidden):
    """Refusal of a machine that was told to enroll anew."""

    code = Code.MACHINE_CLONED.value


def heard(key: MachineKey, marks: Marks, *, signed: float, address: str) -> None:
    """Note that an agent called by a machine's key. Raises ``Cloned`` for one that was told to enroll anew.

    Costs nothing while the same start calls and no other one is near.
    """
    if key.start == marks.start and not _is_contested(key):
        return
    if not _note(key.pk, marks, signed, address):
        raise Cloned(SENTENCES.get(key.kind, Code.MACHINE_CLONED.sentence))


def _is_contested(key: MachineKey) -> bool:
    return key.contested_at is not None and timezone.now() - key.contested_at < RECENT


@transaction.atomic
def _note(machine: str, marks: Marks, signed: float, address: str) -> bool:
    """Note a call; False for one that is refused."""
    key = MachineKey.objects.select_for_update().filter(pk=machine).first()
    if key is None:  # removed meanwhile, which the call itself will find
        return True
    rows = {row.start: row for row in key.starts.all()}
    if _is_refused(marks, rows.values()):
        AgentStart.objects.filter(key=key, start=marks.start).update(seen_at=timezone.now())
        return False
    open_rows = {name: row for name, row in rows.items() if row.refused_at is None}
    course = _course(key, open_rows.values())
    after = course.heard(marks.start, signed)
    if after is course:
        return True
    _write(key, open_rows.get(marks.start), marks, after.starts[marks.start], address)
    contested = after.copies(signed)
    key.start, key.contested_at = after.current, timezone.now() if contested else None
    key.save(update_fields=["start", "contested_at"])
    _forget(open_rows.values())
    return True


def _course(key: MachineKey, rows: Iterable[AgentStart]) -> Course:
    return Course(key.start, {row.start: _start(row) for row in rows})


def _start(row: AgentStart) -> Start:
    returned = row.returned_at.timestamp() if row.returned_at else 0.0
    return Start(row.since.timestamp(), row.seen_at.timestamp(), row.returns, returned)


def _is_refused(marks: Marks, rows: Iterable[AgentStart]) -> bool:
    """Tell whether a start was refused, or is another start of the machine that was: by a trait of that one alone."""
    refused = [row for row in rows if row.refused_at is not None]
    right = [row for row in rows if row.refused_at is None]
    if any(row.start == marks.start for row in refused):
        return True
    if any(row.start == marks.start for row in right):
        return False
    for name, mark in (("machine_mark", marks.machine), ("boot_mark", marks.boot)):
        others = {getattr(row, name) for row in right}
        if mark and mark not in others and any(getattr(row, name) == mark for row in refused):
            return True
    return False


def _write(key: MachineKey, row: AgentStart | None, marks: Marks, start: Start, address: str) -> None:
    moments = {
        "since": datetime.fromtimestamp(start.since, UTC),
        "seen_at": datetime.fromtimestamp(start.seen, UTC),
        "returned_at": datetime.fromtimestamp(start.returned, UTC) if start.returns else None,
    }
    told = {"hostname": marks.hostname, "address": address[:60], "returns": start.returns}
    if row is None:
        traits = {"machine_mark": marks.machine, "boot_mark": marks.boot}
        AgentStart.objects.create(key=key, start=marks.start, **moments, **traits, **told)
        return
    AgentStart.objects.filter(pk=row.pk).update(**moments, **told)


def _forget(rows: Iterable[AgentStart]) -> None:
    """Forget all but the newest starts, since an agent that fails again and again has ever others."""
    old = sorted(rows, key=lambda row: row.seen_at, reverse=True)[MOST:]
    if old:
        AgentStart.objects.filter(pk__in=[row.pk for row in old]).delete()


def forget(machine: str) -> None:
    """Forget the starts of a machine that has another key from now on."""
    AgentStart.objects.filter(key=machine).delete()
    MachineKey.objects.filter(pk=machine).update(start="", contested_at=None)


def contested() -> Exists:
    """Tell within a query of machines whether two were heard of lately by a machine's key; then ask for ``copies``."""
    recent = timezone.now() - RECENT
    return Exists(MachineKey.objects.filter(pk=OuterRef("pk"), contested_at__gte=recent))


def copies(now: datetime | None = None, *, machine: str = "") -> dict[str, Sequence[AgentStart]]:
    """Return those machines by whose identity two or more live, each with their starts. One query."""
    now = now or timezone.now()
    rows = AgentStart.objects.filter(refused_at=None, returns__gte=ENOUGH, seen_at__gte=now - RECENT)
    rows = rows.filter(seen_at__gte=F("returned_at") + timedelta(seconds=LASTING))
    found: dict[str, list[AgentStart]] = defaultdict(list)
    for row in rows.filter(key=machine) if machine else rows:
        found[row.key_id].append(row)
    return {name: starts for name, starts in found.items() if len(starts) > 1}


@transaction.atomic
def enroll_anew(*, machine: str, start: str, name: str, actor: audit.Actor) -> AgentStart:
    """Refuse one of two machines from now on, so that it has to be enrolled anew; the other one goes on.

    Raises ``NotFound`` for a start that is none of the machine's, ``Conflict`` when there are no two any more.
    """
    key = MachineKey.objects.select_for_update().filter(pk=machine).first()
    row = AgentStart.objects.filter(key=key, start=start[:32]).first() if key else None
    if key is None or row is None:
        raise NotFound("There is no such machine, or it was forgotten.", code="MachineUnknown")
    found = copies(machine=machine).get(machine, ())
    if row.pk not in {each.pk for each in found}:
        raise Conflict(
            f"Only one machine works as {name} now, so none was told to enroll anew.", code="NoCopies"
        )
    row.refused_at = timezone.now()
    row.save(update_fields=["refused_at"])
    # None is current now, so that the next call of each is looked at, and the refused one is not let in unseen.
    key.start, key.contested_at = "", key.contested_at if len(found) > 2 else None
    key.save(update_fields=["start", "contested_at"])
    audit.record(
        actor=actor,
        verb="machine.enroll_anew",
        target=key,
        after={"name": name, "hostname": row.hostname, "address": row.address},
    )
    return row
