"""Making, checking and restoring backups."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.utils import timezone
from pyrage.x25519 import Identity, Recipient

from console import ports
from console.backup import archive, contents, variables, world
from console.backup.archive import Member
from console.backup.contents import Backup, Tables
from console.core import audit
from console.core.errors import Conflict, Invalid
from console.core.models.access import LogIn, PasswordLink
from console.core.own_file import OWNERS
from console.core.sealed import keys
from console.machines import config, epochs, logs, pki, wheels
from console.machines.gateway_upgrades import GATEWAYS
from console.machines.models.machines import EnrollmentCode

REASON = "Ended, because a backup was restored."


@dataclass
class Restored:
    """What a restore did. ``ended``: words → how many; ``notes``: sentences on what is missing or other than before."""

    backup: Backup
    ended: dict[str, int]
    notes: list[str] = field(default_factory=list)


# -- Making


def backup_make(*, target: Path, key: Recipient, actor: audit.Actor) -> tuple[int, list[str]]:
    """Write a backup; return (its size in bytes, sentences on what the backup lacks). Raises `Invalid`."""
    if not target.parent.is_dir():
        raise Invalid(f"The folder {target.parent} does not exist.")
    try:
        size = archive.write(target, key, contents.members())
    except (OSError, DatabaseError) as error:
        raise Invalid(f"The backup could not be made: {error}. {target} is as it was.") from error
    with transaction.atomic():
        after = {"file": target.name, "bytes": size}
        audit.record(actor=actor, verb="backup.create", target=config.current(), after=after)
    return size, [] if wheels.wheels() else [f"The backup holds no wheel. {wheels.NO_WHEEL}"]


def check_key(lines: list[str]) -> None:
    """Raise `Invalid` for a key of the backup that the backup itself would hold."""
    held = set(keys()) | variables.keys_of(variables.present()) | set(variables.present().values())
    if held & set(lines):
        raise Invalid("This key is a setting of the console and would lie in the backup. Give another key.")


# -- Checking


def backup_check(*, path: Path, key: Identity) -> Backup:
    """Read a whole backup and write nothing. Raises `Invalid`."""
    return contents.read(path, key)


def settings_write(*, path: Path, key: Identity, target: Path) -> None:
    """Write the settings of a backup into a new file. Raises `Invalid`."""
    variables.write(backup_check(path=path, key=key).settings, target)


# -- Restoring


def restore(*, path: Path, key: Identity, replace: bool, actor: audit.Actor) -> Restored:
    """Put a backup in the place of this console's database and wheels, and begin a new epoch.

    All of the backup is looked at before anything is changed. Raises `Invalid` for a backup that does not fit, and
    `Conflict` for a database that is in use, or holds a world while ``replace`` was not said.
    """
    backup = backup_check(path=path, key=key)
    world.check_release(backup.manifest)
    variables.check_secrets(backup.settings)
    way = contents.database()
    way.check_free(replace=replace)

    def fill(found: Backup, tables: Tables) -> None:
        way.fill(tables, found.manifest["migrations"], found.manifest["shape"])

    with _Wheels(replace=replace) as laid:
        try:
            with way.filling():
                found = contents.read(path, key, wheel=laid.take, tables=fill)
                way.count_on(found.end["counters"])
                call_command("migrate", interactive=False, verbosity=0)
                done = Restored(found, _end_the_past())
                _note(path, done, actor)
        except (OSError, DatabaseError) as error:
            raise Conflict(f"The restore failed, and all is as it was: {error}") from error
        laid.put_in_place()
    done.notes += _notes(found) + laid.notes
    return done


@transaction.atomic
def _end_the_past() -> dict[str, int]:
    """End what must not go on from the time of the backup, and have every machine take the configuration anew."""
    now = timezone.now()
    codes = EnrollmentCode.objects.filter(used_at=None, revoked_at=None, expires_at__gt=now)
    ended = {
        "log-ins": LogIn.objects.all().delete()[0],
        # Some of them were used since.
        "links for passwords": PasswordLink.objects.all().delete()[0],
        "enrollment codes": codes.update(revoked_at=now),
        "exports of logs": logs.exports_end(reason=REASON),
        "upgrades of gateways": GATEWAYS.end_all(reason=REASON),
    }
    ended |= dict(end() for end in ports.restored)
    pki.session_keys_replace()
    epochs.begin_after_restore()
    return ended


@transaction.atomic
def _note(path: Path, done: Restored, actor: audit.Actor) -> None:
    after: dict[str, Any] = {"file": path.name, "made_at": done.backup.manifest["made_at"]}
    after |= {f"{words} ended": count for words, count in done.ended.items() if count}
    audit.record(actor=actor, verb="backup.restore", target=config.current(), after=after)


def _notes(backup: Backup) -> list[str]:
    found: list[str] = []
    address = backup.settings.get("CAUSEWAY_PUBLIC_URL", settings.PUBLIC_URL).rstrip("/")
    if address != settings.PUBLIC_URL:
        found.append(
            f"Machines call {address}, and this console is {settings.PUBLIC_URL}: lead the old address here, "
            "else no machine comes back."
        )
    others = [name for name in variables.differing(backup.settings) if name != "CAUSEWAY_PUBLIC_URL"]
    if others:
        found.append(f"Settings other than in the backup: {', '.join(others)}.")
    return found


class _Wheels:
    """Wheels of a backup, which come to where machines install from when all else is done.

    A wheel of the same name stays, unless ``replace`` was said.
    """

    def __init__(self, *, replace: bool) -> None:
        self._replace, self._new = replace, dict[Path, Path]()
        self.notes: list[str] = []

    def __enter__(self) -> "_Wheels":
        return self

    def __exit__(self, *details: object) -> None:
        for new in self._new:
            new.unlink(missing_ok=True)

    def take(self, name: str, wheel: Member) -> None:
        target = settings.WHEEL_DIR / name
        if target.exists() and not self._replace:
            self.notes.append(f"{target} was there already and stays; that of the backup is left out.")
            return
        settings.WHEEL_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = target.with_name(f".{name}.restoring")
        self._new[new] = target
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNERS), "wb") as file:
            for block in wheel.blocks():
                file.write(block)
        os.utime(new, (wheel.modified, wheel.modified))  # the newest wheel is offered

    def put_in_place(self) -> None:
        for new, target in self._new.items():
            new.replace(target)
        if not wheels.wheels():
            self.notes.append(f"The backup holds no wheel. {wheels.NO_WHEEL}")
