"""Looks at the machine: environment file, folders, disk, clock, systemd units."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from console.core.own_file import OTHERS
from console.installation import place, units
from console.installation.checks import SETUP, error, ok, warning
from edge.machine.checks import FREE_BYTES, Check

# The clock of a database that is off by so much, in seconds, makes records and sessions wrong.
CLOCK_SECONDS = 5.0
FIX_CLOCK = "Set the clock by network time: timedatectl set-ntp true."


def environment_file(file: Path | None) -> Iterator[Check]:
    name = "environment file"
    if file is None:
        yield ok(name, "The settings stand in the environment of this process; no file was read.")
        return
    mode = file.stat().st_mode & 0o777
    if mode & OTHERS:
        yield error(
            name, f"Others may read {file} (mode {mode:o}), which holds the keys.", f"chmod 600 {file}"
        )
    else:
        yield ok(name, f"{file}, mode {mode:o}.")
    if not os.environ.get("CAUSEWAY_SEALING_KEYS"):
        fix = "Put a key of its own into CAUSEWAY_SEALING_KEYS, start anew, and run manage rotate_secrets."
        yield warning(
            name, "CAUSEWAY_SEALING_KEYS is not set, so that the secret key also seals secrets.", fix
        )


def folders() -> Iterator[Check]:
    """Look for files of the state directory that others may read, or that another user made."""
    name, state = "state directory", Path(settings.STATE_DIR)
    status = state.stat()
    open_ = [state] if status.st_mode & OTHERS else []
    foreign = []
    for path in sorted(state.glob("*")):
        found = path.lstat()
        is_file = path.is_file() and not path.is_symlink()
        open_ += [path] if is_file and found.st_mode & OTHERS else []
        foreign += [path] if found.st_uid != status.st_uid else []
    if open_:
        names = " ".join(map(str, open_[:5]))
        yield error(name, f"Others may look into {len(open_)} of the console's files.", f"chmod go= {names}")
    if foreign:
        fix = f"chown -R {place.owner(state)} {state}"
        yield error(
            name, f"{foreign[0]} belongs to {place.owner(foreign[0])}, not to the console's user.", fix
        )
    if not open_ and not foreign:
        yield ok(name, f"{state} belongs to {place.owner(state)} alone.")


def disk() -> Iterator[Check]:
    free = shutil.disk_usage(settings.STATE_DIR).free
    finding = f"{settings.STATE_DIR} has {free // 2**20} MiB free."
    if free >= FREE_BYTES:
        yield ok("disk", finding)
    else:
        fix = f"Free some space; {FREE_BYTES // 2**20} MiB are needed for logs of machines, backups and renewals."
        yield (error if free < FREE_BYTES // 10 else warning)("disk", finding, fix)


def clock() -> Iterator[Check]:
    """Compare the clock with the database's, and ask systemd whether network time sets the clock."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            offset = time.time() - float(cursor.fetchone()[0])
        if abs(offset) > CLOCK_SECONDS:
            yield error("clock", f"The clock and the database's are {abs(offset):.0f} s apart.", FIX_CLOCK)
            return
    said = _said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if said == "no":
        yield warning("clock", "Nothing sets the clock of this machine by network time.", FIX_CLOCK)
    else:
        yield ok(
            "clock",
            "The clock is set by network time." if said == "yes" else "Nothing speaks against the clock.",
        )


def services(file: Path | None) -> Iterator[Check]:
    """Look at the two services, where there is a systemd and the settings come from a file."""
    if not units.has_systemd() or file is None:
        return
    there = [
        target.read_text(encoding="utf-8") for name in units.NAMES if (target := units.TARGET / name).exists()
    ]
    if any(f"EnvironmentFile={file}\n" not in text for text in there):
        yield ok("services", "The services of this machine are those of another console.")
        return
    owner = place.owner(Path(settings.STATE_DIR))
    try:
        meant = units.texts(file=file, state=Path(settings.STATE_DIR), user=owner, program=units.command())
    except place.Refused as wrong:
        yield error("services", str(wrong), "Move it.")
        return
    for name, text in meant.items():
        yield _service(name, text)


def _service(name: str, meant: str) -> Check:
    target = units.TARGET / name
    unit = name.removesuffix(".service")
    if not target.exists():
        return warning(
            unit, f"{target} is not there: nothing starts {unit} with the machine.", f"{SETUP} As root."
        )
    if _said("systemctl", "is-active", unit) != "active":
        fix = f"systemctl enable --now {unit}; what hinders it: journalctl --unit {unit} --lines 30"
        return error(unit, f"The service {unit} does not run.", fix)
    if _said("systemctl", "is-enabled", unit) != "enabled":
        return warning(unit, f"{unit} runs, but does not start with the machine.", f"systemctl enable {unit}")
    if _said("systemctl", "show", "--property=NeedDaemonReload", "--value", unit) == "yes":
        return warning(unit, f"systemd has another {name} in mind.", "systemctl daemon-reload")
    if target.read_text(encoding="utf-8") != meant:
        fix = f"{SETUP} As root; changes of your own belong into systemctl edit {unit}."
        return warning(unit, f"{target} is not as this release has it.", fix)
    return ok(unit, f"The service {unit} runs, and starts with the machine.")


def _said(*command: str) -> str:
    """Return what a program says; nothing where the program is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip()
