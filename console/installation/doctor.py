"""The doctor: looks at a console's machine, data and services, and names the fix of each finding."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from django.db import DatabaseError

from console.installation import inside, place
from console.installation.checks import error, ok, warning
from console.installation.place import Refused, say
from edge.machine.checks import Check

LOOK_SECONDS = 0.5


def run(given: Path | None, *, as_json: bool, seconds: float) -> int:
    """Say what is found; return the exit code. Raise `Refused` where there is no console to look at."""
    file = place.take(given, os.environ)
    if state := os.environ.get("CAUSEWAY_STATE_DIR"):
        place.become_owner(Path(state))
    found = []
    for each in _all(file, seconds):
        found.append(each)
        if not as_json:
            _tell(each)
    if as_json:
        say(json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False))
    return 1 if any(each.severity == "error" for each in found) else 0


def _tell(found: Check) -> None:
    say(f"  {found.severity:7} {found.name}: {found.finding}")
    if found.fix:
        say(f"          {'Do this' if found.severity == 'error' else 'Better'}: {found.fix}")


def _all(file: Path | None, seconds: float) -> Iterator[Check]:
    try:
        inside.start()
    except Refused as wrong:
        yield error("settings", str(wrong), f"Put {file or 'the environment'} right.")
        return
    yield ok("settings", "Every setting can be read.")
    from console.installation.checks import data, machine, served

    yield from _seen("environment file", machine.environment_file(file))
    yield from _seen("state directory", machine.folders())
    yield from _seen("disk", machine.disk())
    reached = _seen("database", data.database())
    yield from reached
    if _passed(reached):
        tables = _seen("tables", data.tables())
        yield from tables
        if _passed(tables):
            yield from _seen("secrets", data.secrets())
            yield from _seen("administrator", data.administrator())
            yield from _seen("backup", data.backup())
        yield from _seen("clock", machine.clock())
    yield from _seen("static files", served.static_files())
    yield from _seen("wheel", served.wheel())
    yield from _seen("certificate", served.certificate())
    yield from _seen("services", machine.services(file))
    deadline = time.monotonic() + seconds
    yield from _in_time("address", served.address, deadline)
    yield from _in_time("worker", data.worker, deadline)
    yield from _seen("mail", served.mail())
    yield from _seen("Django", _django())


def _in_time(name: str, look: Callable[[], Iterable[Check]], deadline: float) -> list[Check]:
    """Look until what was just started has come up, or the time is over."""
    found = _seen(name, look())
    while not _passed(found) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        found = _seen(name, look())
    return found


def _passed(found: Iterable[Check]) -> bool:
    return all(each.severity != "error" for each in found)


def _seen(name: str, look: Iterable[Check]) -> list[Check]:
    """Return what one look finds; a look that fails is a finding, and no end of the others."""
    try:
        return list(look)
    except DatabaseError as failed:
        said = " ".join(str(failed).split())
        fix = "See that the database runs, and that DATABASE_URL names it; then causeway-console setup."
        return [error(name, f"The database does not answer as it should: {said}", fix)]
    except Exception as failed:
        return [error(name, f"This could not be looked at: {failed}", "Put right what the sentence names.")]


def _django() -> Iterator[Check]:
    """Give the words of Django's own checks for a deployment, but for what is only to be known."""
    from django.core import checks

    for message in checks.run_checks(include_deployment_checks=True):
        if message.level >= checks.WARNING and not message.is_silenced():
            severe = error if message.level >= checks.ERROR else warning
            yield severe(
                "Django", message.msg, message.hint or f"Look for {message.id} in Django's documentation."
            )
