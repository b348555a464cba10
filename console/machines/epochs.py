"""Epochs of the configuration: how the console notices that its history was turned back, and begins another epoch.

A database that was restored counts on from an old version, and would give out numbers that machines know with another
content. What is outside the database shows that: the stamp beside it, and the editions that machines work by. A new
epoch begins above every number that is known, so that machines of release 0.1, which know no epochs, take it as well.
"""

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from console.core import audit
from console.core.models.version import ConfigVersion, new_epoch
from console.machines import config
from console.machines.models.config import PastEpoch
from console.machines.stamp import Counters, stamp
from edge.protocol.edition import Edition

log = logging.getLogger("causeway.epochs")
Counter = Literal["version", "servers_version"]
# Without a seal (a machine of release 0.1, or another secret key) a machine's number is believed as far ahead as this,
# and as seldom: one that makes numbers up must not keep all others fetching.
LEAP = 1_000_000
BELIEVED_AGAIN = timedelta(hours=1)


def seal(counter: Counter, edition: Edition) -> str:
    """Make the proof that this console gave out an edition, by its secret key, which no database holds."""
    return _seal(counter, edition, settings.SECRET_KEY)


def _seal(counter: Counter, edition: Edition, key: str) -> str:
    text = f"{counter} {edition.epoch} {edition.version}"
    return salted_hmac("causeway.epoch", text, secret=key, algorithm="sha256").hexdigest()[:32]


@dataclass(frozen=True)
class Claim:
    """Word of a machine on the edition that it works by, with the seal that came with it."""

    machine: str
    counter: Counter
    edition: Edition
    seal: str = ""

    @property
    def is_sealed(self) -> bool:
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        return any(constant_time_compare(self.seal, _seal(self.counter, self.edition, key)) for key in keys)


@dataclass(frozen=True)
class Evidence:
    """Sign that the history was turned back. ``epoch``: one that is over with it; versions: the highest of that."""

    reason: str
    epoch: str = ""
    version: int = 0
    servers_version: int = 0
    machine: str = ""


Look = Callable[[ConfigVersion], Evidence | None]


def present(now: ConfigVersion | None = None, claim: Claim | None = None) -> ConfigVersion:
    """Return the counters to give out; begin a new epoch first where stamp or ``claim`` shows a longer history.

    ``now``: counters just read, where the caller has them. Without a contradiction no query is added.
    """
    now = now or config.current()

    def look(row: ConfigVersion) -> Evidence | None:
        return _by_stamp(row) or (_by_claim(row, claim) if claim else None)

    if look(now) is not None:
        now = _begin(look)
    stamp.write(now)
    return now


def _by_stamp(now: ConfigVersion) -> Evidence | None:
    if stamp.says_nothing_new(now):
        return None
    seen = stamp.read()
    if seen is None:
        return Evidence("This host has no stamp of what the console gave out before.")
    if seen.epoch == now.epoch:
        turned = seen.version > now.version or seen.servers_version > now.servers_version
        return Evidence("The database is older than the stamp beside it.", *seen) if turned else None
    return None if _is_over(seen.epoch) else Evidence("The database does not know the stamp's epoch.", *seen)


def _by_claim(now: ConfigVersion, claim: Claim) -> Evidence | None:
    epoch, version = claim.edition
    known = getattr(now, claim.counter)
    if epoch in ("", now.epoch):
        if version <= known:
            return None
    elif _is_over(epoch):
        return None
    if not claim.is_sealed and not (known < version <= known + LEAP and not _was_believed(claim.machine)):
        return None
    reason = "A machine works by a configuration that the database does not know."
    highest = (version, 0) if claim.counter == "version" else (0, version)
    return Evidence(reason, epoch, *highest, claim.machine)


def _is_over(epoch: str) -> bool:
    return PastEpoch.objects.filter(pk=epoch).exists()


def _was_believed(machine: str) -> bool:
    since = timezone.now() - BELIEVED_AGAIN
    return PastEpoch.objects.filter(machine=machine, ended_at__gt=since).exists()


@transaction.atomic
def _begin(look: Look) -> ConfigVersion:
    """Begin an epoch, unless another process was first: what was seen is looked at again under the row's lock."""
    config.current()
    now = ConfigVersion.objects.select_for_update().get(id=1)
    found = look(now)
    if found is None:
        return now
    before = Counters.of(now)
    for epoch in {before.epoch, found.epoch} - {""}:
        ended = {"reason": found.reason, "machine": found.machine}
        PastEpoch.objects.get_or_create(id=epoch, defaults=ended)
    ConfigVersion.objects.filter(id=1).update(
        epoch=new_epoch(),
        version=max(now.version, found.version),
        servers_version=max(now.servers_version, found.servers_version),
    )
    config.publish(servers=True)
    now.refresh_from_db()
    after = Counters.of(now)._asdict() | {"reason": found.reason, "machine": found.machine}
    audit.record(
        actor=audit.System("console"),
        verb="configuration.epoch",
        target=now,
        before=before._asdict(),
        after=after,
    )
    log.warning("A new epoch of the configuration begins. %s Every machine takes it whole.", found.reason)
    stamp.write(now)  # before the commit: whoever waits for the lock finds it
    return now


def begin_after_restore() -> ConfigVersion:
    """Begin an epoch for a backup that was restored, above the numbers that this host gave out before."""
    return _begin(lambda now: Evidence("A backup was restored.", *(stamp.read() or ())))


# -- What pages and alerts say of a machine


class Obedient(Protocol):
    """Gateway or server, as far as it told what it works by."""

    @property
    def applied_epoch(self) -> str: ...
    @property
    def applied_version(self) -> int | None: ...


class Standing(enum.Enum):
    """Relation of what a machine works by to what the console has now."""

    UNKNOWN = "unknown"
    CURRENT = "current"
    BEHIND = "behind"
    FOREIGN = "foreign"


def standing(now: ConfigVersion, counter: Counter, machine: Obedient) -> Standing:
    """Compare. ``FOREIGN``: of another epoch, or of a greater number than there is."""
    wanted, version = getattr(now, counter), machine.applied_version
    if version is None:
        return Standing.UNKNOWN
    # By its number, a machine of the present epoch may have heard of a change since ``now`` was read.
    if machine.applied_epoch != now.epoch and (machine.applied_epoch or version > wanted):
        return Standing.FOREIGN
    return Standing.BEHIND if version < wanted else Standing.CURRENT
