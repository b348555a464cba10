"""Logs of machines, asked for in the console: the machine packs them and sends the archive piece by piece.

Pieces come over the calls that the machine makes anyway, each signed like every other call. An archive is kept for
``settings.LOGS_KEPT``, of a machine only the newest, and of all archives together, those that are on their way too, no
more than ``settings.LOGS_STORED_BYTES``.
"""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from console import ports
from console.core import audit
from console.core.errors import Conflict, Invalid, NotFound
from console.core.rates import Rate
from console.machines import config
from console.machines.models.logs import LogExport, LogPart
from console.machines.models.machines import Gateway, MachineKey
from edge.protocol.reports import PART_BYTES

REMEMBERED = timedelta(days=30)
# Silence after which a machine that does not answer, or stops in the middle, is given up.
SILENCE = timedelta(minutes=2)
# Time after which a machine that is still sending is given up, however busy it is.
LONGEST = timedelta(minutes=30)
# Bytes of a machine in a minute: a whole archive twice, since answers may be lost.
received = Rate(lambda: 2 * settings.LOGS_LARGEST_BYTES)

State = LogExport.State
WORKER = audit.System("worker")


def gateway_name(machine: str) -> str | None:
    return Gateway.objects.filter(pk=machine).values_list("name", flat=True).first()


def name_of(machine: str) -> str:
    """Return the name of an enrolled machine. Raises ``NotFound``."""
    key = MachineKey.objects.filter(pk=machine).first()
    name = ports.machine_names[key.kind](machine) if key is not None else None
    if name is None:
        raise NotFound("There is no such machine, or it is not enrolled.", code="MachineUnknown")
    return name


def newest(machine: str) -> LogExport | None:
    return LogExport.objects.filter(machine=machine).first()


def wanted(machine: str) -> str | None:
    """Return the id of the export asked of a machine now; for its configuration or the answer to its status."""
    return (
        LogExport.objects.filter(machine=machine, state__in=LogExport.OPEN)
        .values_list("pk", flat=True)
        .first()
    )


@transaction.atomic
def export_ask(*, machine: str, actor: audit.Actor) -> LogExport:
    """Ask a machine for its logs. Raises ``NotFound``, and ``Conflict`` when it was asked already."""
    name = name_of(machine) or machine
    config.publish(servers=True)  # its lock also puts two who ask at once in order
    if wanted(machine):
        raise Conflict(f"The logs of {name} were asked for already.", code="LogsAsked")
    export = LogExport.objects.create(machine=machine, name=name, asked_by=str(actor)[:150])
    audit.record(actor=actor, verb="logs.ask", target=export, after={"machine": machine})
    return export


def _asked(machine: str, export: str) -> LogExport:
    """Return the export under way, which nobody else changes until the end of the transaction."""
    found = (
        LogExport.objects.select_for_update()
        .filter(pk=export, machine=machine, state__in=LogExport.OPEN)
        .first()
    )
    if found is None:
        raise NotFound("Nobody waits for these logs any more.", code="LogsNotWanted")
    return found


@transaction.atomic
def part_arrived(*, machine: str, export: str, number: int, data: bytes, last: bool) -> None:
    """Keep a piece; number 0 begins anew. Raises ``NotFound`` when nobody waits, ``Invalid`` for one out of order.

    Raises ``TooMany`` when pieces come faster than an archive could need.
    """
    found = _asked(machine, export)
    received.take(machine, len(data), "Pieces of an archive come too fast. Send the next one later.")
    if number == 0:
        found.pieces.all().delete()
        found.size = found.parts = 0
    if number < found.parts:
        return  # piece sent again because the console's answer was lost
    if number > found.parts:
        raise Invalid(f"part must be {found.parts}, the next one.", field="part")
    if len(data) > PART_BYTES:
        raise Invalid(f"data must be at most {PART_BYTES} bytes long.", field="data")
    if not data and not last:
        raise Invalid("data must not be empty before the last part.", field="data")
    if found.size + len(data) > settings.LOGS_LARGEST_BYTES:
        _fail(found, f"The archive is larger than {settings.LOGS_LARGEST_BYTES // 2**20} MiB.")
        return
    if not _make_room(found, len(data)):
        most = settings.LOGS_STORED_BYTES // 2**20
        _fail(found, f"All archives together would be larger than {most} MiB. Ask again later.")
        return
    LogPart.objects.create(export=found, number=number, data=data)
    found.size, found.parts, found.state = found.size + len(data), found.parts + 1, State.ARRIVING
    found.heard_at = now = timezone.now()
    if last:
        found.state, found.ready_at, found.expires_at = State.READY, now, now + settings.LOGS_KEPT
        audit.record(actor=audit.System(machine), verb="logs.ready", target=found, after={"size": found.size})
        for older in LogExport.objects.filter(machine=machine, state=State.READY).exclude(pk=found.pk):
            _expire(older)
    found.save(update_fields=["size", "parts", "state", "heard_at", "ready_at", "expires_at"])


@transaction.atomic
def export_failed(*, machine: str, export: str, message: str) -> None:
    """Give an export up because the machine says it cannot. Raises ``NotFound`` when nobody waits."""
    _fail(_asked(machine, export), message)


def _fail(export: LogExport, message: str) -> None:
    export.pieces.all().delete()
    export.state, export.message = State.FAILED, message[:500]
    export.save(update_fields=["state", "message"])


def exports_end(*, reason: str) -> int:
    """Give up all exports that somebody waits for; return how many."""
    waiting = list(LogExport.objects.select_for_update().filter(state__in=LogExport.OPEN))
    for export in waiting:
        _fail(export, reason)
    return len(waiting)


def _make_room(export: LogExport, needed: int) -> bool:
    """Let the oldest archives go until there is room for so many bytes of an export more; False when there is none."""
    held = LogExport.objects.filter(state__in=[State.READY, State.ARRIVING]).exclude(pk=export.pk)
    excess = export.size + needed + (held.aggregate(sum=Sum("size"))["sum"] or 0) - settings.LOGS_STORED_BYTES
    for oldest in held.filter(state=State.READY).order_by("ready_at") if excess > 0 else ():
        _expire(oldest)
        excess -= oldest.size
        if excess <= 0:
            break
    return excess <= 0


def _expire(export: LogExport) -> None:
    export.pieces.all().delete()
    LogExport.objects.filter(pk=export.pk).update(state=State.EXPIRED)


@transaction.atomic
def export_download(*, export: LogExport, actor: audit.Actor) -> Iterator[bytes]:
    """Return the archive's pieces, one after the other. Raises ``Conflict`` when it is not there, or not any more."""
    export = LogExport.objects.select_for_update().get(pk=export.pk)
    if not export.is_ready:
        raise Conflict("This archive is not there. Ask for the logs again.", code="LogsNotReady")
    audit.record(actor=actor, verb="logs.download", target=export, after={"machine": export.machine})
    numbers = range(export.parts)
    # Pieces read one by one: an archive that expires meanwhile ends the download early, and its length shows that.
    return (piece for number in numbers for piece in _piece(export.pk, number))


def _piece(export: str, number: int) -> list[bytes]:
    found = LogPart.objects.filter(export=export, number=number).values_list("data", flat=True)
    return [bytes(data) for data in found]


def exports_age() -> int:
    """Give up machines that do not answer and delete archives whose time is over; return how many."""
    now = timezone.now()
    silent = Q(heard_at=None, asked_at__lt=now - SILENCE) | Q(heard_at__lt=now - SILENCE)
    changed = _give_up(silent, f"The machine did not answer within {SILENCE.seconds // 60} minutes.")
    slow = Q(asked_at__lt=now - LONGEST)
    changed += _give_up(slow, f"The machine did not send its logs within {LONGEST.seconds // 60} minutes.")
    for export in LogExport.objects.filter(state=State.READY, expires_at__lte=now):
        with transaction.atomic():
            _expire(export)
        changed += 1
    return changed + LogExport.objects.filter(asked_at__lt=now - REMEMBERED).delete()[0]


def _give_up(which: Q, message: str) -> int:
    """Give up the open exports of which a condition holds; return how many."""
    changed = 0
    for export in LogExport.objects.filter(which, state__in=LogExport.OPEN):
        with transaction.atomic():
            still = LogExport.objects.select_for_update().filter(
                which, pk=export.pk, state__in=LogExport.OPEN
            )
            if (found := still.first()) is not None:
                _fail(found, message)
                changed += 1
    return changed
