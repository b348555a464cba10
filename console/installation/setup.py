"""Set-up of a console: user, folders, environment file, certificate, wheel, units; then what Django makes.

Each step keeps what is there, and says so. A set-up that was interrupted goes on where it stopped.
"""

import argparse
import os
import pwd
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from console.core import environment_file
from console.core.own_file import OWNERS
from console.front.certificate import CertificateFiles, CertificateInvalid
from console.installation import answers, inside, place, units, wheel
from console.installation.place import Refused, say

HEADING = """Settings of the console, written by the set-up; docs/operations.md has all of them.
Keep a copy where the backups' key is: without these keys the secrets in the database stay closed."""
# What a console leaves in its state directory.
OURS = re.compile(r"causeway\.sqlite3|static$|wheel$|tls$|front-\d+$|epoch-|audit-head-|worker-lives$|\.")
CERTIFICATE, KEY = "CAUSEWAY_TLS_CERTIFICATE", "CAUSEWAY_TLS_KEY"


def run(given: argparse.Namespace) -> int:
    """Set a console up, or go on with it. Raise `Refused`, `OSError`."""
    # Not among the settings: nobody needs it afterwards.
    given.password = os.environ.pop(inside.PASSWORD, "")
    file = (given.environment or place.default_file()).absolute()
    kept = place.read(file) if file.exists() else {}
    if kept:
        say(f"Keeping the keys and settings of {file}; what an option names is changed.")
    made = answers.variables(given, kept)
    state = Path(made["CAUSEWAY_STATE_DIR"])
    owner = _owner(given, state)
    _folder(state, owner, known=bool(kept))
    _certificate(made, state, owner)
    _file(file, made, kept)
    wheel.offer(given.wheel, Path(made.get("CAUSEWAY_WHEEL_DIR") or state / "wheel"), owner)
    if owner:
        _units(file, state, owner)
    place.take(file, os.environ)
    place.become_owner(state)
    inside.prepare(given)
    _next(owner, made)
    return 0


def _owner(given: argparse.Namespace, state: Path) -> pwd.struct_passwd | None:
    """Return the user of the services where root sets these up; None: whoever runs this has the files."""
    if os.geteuid() != 0 or given.no_services:
        return None
    uid = state.stat().st_uid if state.is_dir() else 0
    owner = pwd.getpwuid(uid) if uid and not given.user else place.make_user(given.user or place.SYSTEM_USER)
    if uid not in (0, owner.pw_uid):
        raise Refused(f"{state} belongs to {place.owner(state)}, not to {owner.pw_name}. Leave --user out.")
    tried = place.as_owner(owner, "import console.installation")
    if tried.returncode:
        raise Refused(
            f"{owner.pw_name}, the user of the services, cannot run {sys.executable}. Install Causeway where everybody "
            "may read, such as /opt/causeway/console, with the umask 022."
        )
    return owner


def _folder(state: Path, owner: pwd.struct_passwd | None, *, known: bool) -> None:
    """Make the state directory, or take one that is there: all of it is given to the owner."""
    if not state.is_dir():
        make_above(state)
        state.mkdir(mode=0o700)
        say(f"Made the state directory {state}.")
    elif not known and (found := [each.name for each in state.iterdir() if not OURS.match(each.name)]):
        raise Refused(
            f"{state} holds other things, such as {found[0]}. Name a folder of its own with --state."
        )
    else:
        say(f"Keeping the state directory {state}.")
    if owner and state.stat().st_uid != owner.pw_uid:
        # Root's until now, so that nobody else has laid anything there.
        for path in (state, *state.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    state.chmod(0o700)
    closed = next((each for each in state.parents if not each.stat().st_mode & 0o001), None)
    if owner and closed:
        raise Refused(f"{owner.pw_name} may not enter {closed}. Name another state directory with --state.")


def make_above(path: Path) -> None:
    """Make the folders above a path that are missing, open to everybody, whatever the umask is."""
    for above in reversed(path.parents):
        if not above.is_dir():
            above.mkdir()
            above.chmod(0o755)


def _certificate(made: dict[str, str], state: Path, owner: pwd.struct_passwd | None) -> None:
    """Check certificate and key; of files that the services' user may not read, take copies."""
    if not made.get(CERTIFICATE):
        return
    sources = Path(made[CERTIFICATE]), Path(made[KEY])
    try:
        CertificateFiles(*sources).check()
    except CertificateInvalid as wrong:
        raise Refused(f"The certificate cannot be used: {wrong}") from None
    if not owner or all(_reads(owner, each) for each in sources):
        return
    folder = state / "tls"
    targets = folder / "chain.pem", folder / "key.pem"
    for name, source, target in zip((CERTIFICATE, KEY), sources, targets, strict=True):
        place.put_by(owner, target, source.read_bytes())
        made[name] = str(target)
    say(f"Copied certificate and key into {folder}, since {owner.pw_name} may not read the files themselves.")


def _reads(owner: pwd.struct_passwd, file: Path) -> bool:
    return place.as_owner(owner, "import sys; open(sys.argv[1]).close()", str(file)).returncode == 0


def _file(file: Path, made: Mapping[str, str], kept: Mapping[str, str]) -> None:
    if made == kept:
        file.chmod(OWNERS)
        say(f"Keeping {file} as it is.")
        return
    make_above(file)
    environment_file.write(file, made, HEADING)
    names = ", ".join(sorted(name for name in {*made, *kept} if made.get(name) != kept.get(name)))
    say(f"Wrote {file}, mode 0600: {names}.")


def _units(file: Path, state: Path, owner: pwd.struct_passwd) -> None:
    if not units.has_systemd():
        say("Without systemd: have something start “causeway-console serve” and “causeway-console worker”.")
        return
    made = units.texts(file=file, state=state, user=owner.pw_name, program=units.command())
    for name in units.NAMES:
        say(f"{'Wrote' if name in units.install({name: made[name]}) else 'Keeping'} {units.TARGET / name}.")


def _next(owner: pwd.struct_passwd | None, made: Mapping[str, str]) -> None:
    say("")
    say(f"The console for {made['CAUSEWAY_PUBLIC_URL']} is set up. Next:")
    program = shutil.which("causeway-console") or units.command()
    if owner and units.has_systemd():
        say("  systemctl enable --now causeway-console causeway-worker")
        say("  (after a change of settings: systemctl restart causeway-console causeway-worker)")
    else:
        say(f"  {program} serve")
        say(f"  {program} worker")
    say(f"  {program} doctor")
