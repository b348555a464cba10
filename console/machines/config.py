"""The configuration's version: every change that machines must know raises the version, and gateways wait for that.

Ends of sessions that take nobody else anything, such as a log-off, go ahead of the configuration: gateways are told of
them by the polls that they have open, act at once, and confirm by the next poll's mark. The version stays.
"""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from console.core.models.version import ConfigVersion
from console.machines.models.config import Cutover, CutoverConfirmation, EndedSession
from console.machines.models.machines import Gateway
from edge.protocol.edition import Edition

# Pause between two looks of the watcher while somebody waits; every cut-over may begin that much later.
WATCH_SECONDS = 0.02


def current() -> ConfigVersion:
    return ConfigVersion.objects.get_or_create(id=1)[0]


def publish(*, servers: bool = False, cut: str | None = None, target: str = "") -> int:
    """Raise the configuration's version within the caller's transaction; return the new version.

    ``servers``: connector servers must know as well. ``cut``: the reason of a cut-over, which every gateway enrolled
    now has to confirm. The row lock orders concurrent changes, so that versions rise in commit order.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("publish() belongs into the transaction of the change.")
    current()
    changes = {"version": F("version") + 1}
    if servers:
        changes["servers_version"] = F("servers_version") + 1
    ConfigVersion.objects.filter(id=1).update(**changes)
    version = ConfigVersion.objects.values_list("version", flat=True).get(id=1)
    if cut:
        cutover = Cutover.objects.create(version=version, reason=cut, target=target)
        CutoverConfirmation.objects.bulk_create(
            CutoverConfirmation(cutover=cutover, gateway=gateway)
            for gateway in Gateway.objects.filter(enrolled_at__isnull=False)
        )
    return version


class End(NamedTuple):
    """End of a session. ``until``: when its token ends by itself; from then on nobody needs to know."""

    session: str
    reason: str
    until: datetime


def tell_ends(ends: Sequence[End]) -> None:
    """Tell gateways of ended sessions ahead of the configuration, within the transaction in which they end.

    The row lock orders concurrent ends, so that numbers rise in commit order. While a gateway is enrolled that does not
    take ends, the version is raised as well.
    """
    current()
    ConfigVersion.objects.filter(id=1).update(ends=F("ends") + len(ends))
    first = ConfigVersion.objects.values_list("ends", flat=True).get(id=1) - len(ends) + 1
    EndedSession.objects.bulk_create(
        EndedSession(number=first + place, session=end.session, reason=end.reason, until=end.until)
        for place, end in enumerate(ends)
    )
    if Gateway.objects.filter(enrolled_at__isnull=False, takes_ends=False).exists():
        publish()


class Ended(NamedTuple):
    """Sessions that ended after a mark, with their reasons, and the mark of the last."""

    mark: str
    sessions: dict[str, str]


def ended_since(mark: str) -> Ended | None:
    """Return what ended after a mark. None for a mark that is of another history, or too old to be known."""
    rows = EndedSession.objects.order_by("number")
    if mark:
        rows = rows.filter(number__gte=mark.partition(".")[0])
    found = list(rows)
    if mark and (not found or found[0].mark != mark):
        return None
    now = timezone.now()
    sessions = {each.session: each.reason for each in found[1 if mark else 0 :] if each.until > now}
    return Ended(found[-1].mark if found else "", sessions)


def last_mark() -> str:
    """Return the mark of the last end; empty when there is none."""
    last = EndedSession.objects.first()
    return last.mark if last else ""


def forget_old_ends() -> int:
    """Let the worker delete ends of tokens that are over by themselves; the last stays, as the mark of all gateways."""
    numbers = EndedSession.objects.values_list("number", flat=True)[:1]
    last = list(numbers)
    return EndedSession.objects.filter(until__lt=timezone.now()).exclude(number__in=last).delete()[0]


def applied(
    gateway: Gateway, edition: Edition, *, flows_cut: int | None, confirms: bool, takes_ends: bool = False
) -> None:
    """Note which edition a gateway works by; one of the present history ``confirms`` the cut-overs up to its version.

    ``flows_cut``: None if not known. ``takes_ends``: whether the gateway is told of ends by its polls; one that is no
    longer, since it was put back to release 0.1, may not know the last ends and is given a configuration with them.
    """
    now = timezone.now()
    changes: dict[str, object] = {"heard_at": now}
    if gateway.takes_ends != takes_ends:
        changes["takes_ends"] = takes_ends
    if (gateway.applied_epoch, gateway.applied_version) != edition:
        changes.update(applied_epoch=edition.epoch, applied_version=edition.version, applied_at=now)
        if confirms:
            _confirm(gateway, edition.version, now, flows_cut)
    with transaction.atomic():
        Gateway.objects.filter(pk=gateway.pk).update(**changes)
        if gateway.takes_ends and not takes_ends:
            publish()


def _confirm(gateway: Gateway, version: int, now: datetime, flows_cut: int | None) -> None:
    pending = CutoverConfirmation.objects.filter(
        gateway=gateway, confirmed_at=None, cutover__version__lte=version
    )
    newest = pending.order_by("-cutover__version").values_list("pk", flat=True).first()
    if newest is not None:
        # Newest cut-over alone gets the number of flows: one poll may stand for several changes.
        CutoverConfirmation.objects.filter(pk=newest).update(confirmed_at=now, flows_cut=flows_cut)
        pending.update(confirmed_at=now)


class Known(NamedTuple):
    """Counters that a waiting gateway knows, or that the watcher found."""

    epoch: str
    version: int
    ends: int


NOTHING = Known("", 0, 0)


class Watcher:
    """Watcher whose one query serves many waiting requests; its thread starts with the first and ends with the last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._watching = False
        self._found = NOTHING
        self._failures = 0

    def wait_beyond(self, now: ConfigVersion, seconds: float) -> bool:
        """Block until configuration or ends are others than ``now``; False when ``seconds`` pass first.

        Return at once when the database is lost: the waiting request finds that out by asking it.
        """
        connection.close()  # connection given back: a waiting request needs none
        known = Known(now.epoch, now.version, now.ends)
        with self._changed:
            self._waiting += 1
            if self._waiting == 1:
                self._found = known  # not known: the one read for earlier requests may be old
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="config-watcher", daemon=True).start()
            try:
                failures = self._failures
                self._changed.wait_for(lambda: self._found != known or self._failures > failures, seconds)
                return self._found != known
            finally:
                self._waiting -= 1

    def _watch(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._waiting:
                        self._watching = False
                        return
                row = ConfigVersion.objects.values_list("epoch", "version", "ends").filter(id=1).first()
                found = Known(*row) if row else NOTHING
                with self._changed:
                    if found != self._found:
                        self._found = found
                        self._changed.notify_all()
                time.sleep(WATCH_SECONDS)
        except DatabaseError:
            # Requests woken: one that waited on would miss changes after the database's return until its time ends.
            with self._changed:
                self._watching = False
                self._failures += 1
                self._changed.notify_all()
        finally:
            connection.close()


watcher = Watcher()
