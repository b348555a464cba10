"""The configuration's version: every change that machines must know raises the version, and gateways wait for that."""

import threading
import time
from datetime import datetime

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from console.core.models.version import ConfigVersion
from console.machines.models.config import Cutover, CutoverConfirmation
from console.machines.models.machines import Gateway
from edge.protocol.edition import NONE, Edition

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


def applied(gateway: Gateway, edition: Edition, *, flows_cut: int | None, confirms: bool) -> None:
    """Note which edition a gateway works by; one of the present history ``confirms`` the cut-overs up to its version.

    ``flows_cut``: None if not known.
    """
    now = timezone.now()
    changes: dict[str, object] = {"heard_at": now}
    if (gateway.applied_epoch, gateway.applied_version) != edition:
        changes.update(applied_epoch=edition.epoch, applied_version=edition.version, applied_at=now)
        if confirms:
            _confirm(gateway, edition.version, now, flows_cut)
    Gateway.objects.filter(pk=gateway.pk).update(**changes)


def _confirm(gateway: Gateway, version: int, now: datetime, flows_cut: int | None) -> None:
    pending = CutoverConfirmation.objects.filter(
        gateway=gateway, confirmed_at=None, cutover__version__lte=version
    )
    newest = pending.order_by("-cutover__version").values_list("pk", flat=True).first()
    if newest is not None:
        # Newest cut-over alone gets the number of flows: one poll may stand for several changes.
        CutoverConfirmation.objects.filter(pk=newest).update(confirmed_at=now, flows_cut=flows_cut)
        pending.update(confirmed_at=now)


class Watcher:
    """Watcher whose one query serves many waiting requests; its thread starts with the first and ends with the last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._watching = False
        self._found = NONE
        self._failures = 0

    def wait_beyond(self, edition: Edition, seconds: float) -> bool:
        """Block until the configuration is another than ``edition``; False when ``seconds`` pass first.

        Return at once when the database is lost: the waiting request finds that out by asking it.
        """
        connection.close()  # connection given back: a waiting request needs none
        with self._changed:
            self._waiting += 1
            if self._waiting == 1:
                self._found = edition  # not known: the one read for earlier requests may be old
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="config-watcher", daemon=True).start()
            try:
                failures = self._failures
                self._changed.wait_for(lambda: self._found != edition or self._failures > failures, seconds)
                return self._found != edition
            finally:
                self._waiting -= 1

    def _watch(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._waiting:
                        self._watching = False
                        return
                row = ConfigVersion.objects.values_list("epoch", "version").filter(id=1).first()
                found = Edition(*row) if row else NONE
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
