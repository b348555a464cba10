"""The systemd units of console and worker: those of ``deploy/``, with the places of this machine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from console.installation import place
from console.installation.place import Refused

BASE = Path(__file__).resolve().parents[2]
# Beside the floors in a checkout, inside the console's package when it is installed.
SOURCE = BASE / "deploy" if (BASE / "deploy").is_dir() else BASE / "console/_data/deploy"
TARGET = Path("/etc/systemd/system")
NAMES = ("causeway-console.service", "causeway-worker.service")
COMMAND = "/opt/causeway/console/bin/causeway-console"
# Signs that mean something to systemd in one of the lines where a path stands.
UNSUITABLE = re.compile(r"[\"'\\$%*?\[\]\x00-\x1f]")


def has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def command() -> Path:
    """Return the program ``causeway-console`` of this installation."""
    return Path(sys.executable).with_name("causeway-console")


def texts(*, file: Path, state: Path, user: str, program: Path) -> dict[str, str]:
    """Return the units by their names. Raise `Refused` for a path that systemd would misread."""
    for path in (file, state, program):
        if UNSUITABLE.search(str(path)):
            raise Refused(
                f"systemd misreads the path {path}. Choose one without quotes, \\, $, %, *, ?, [ and ]."
            )
    meant = {
        COMMAND: str(program),
        str(place.SYSTEM_FILE): str(file),
        str(place.SYSTEM_STATE): str(state),
        f"User={place.SYSTEM_USER}": f"User={user}",
    }
    homes = any(str(path).startswith(("/home/", "/root/")) for path in (file, state, program))
    if homes:
        meant["ProtectHome=yes"] = "ProtectHome=no"
    found = {}
    for name in NAMES:
        # All at once: what took the place of one word is not looked through for another.
        words = re.compile("|".join(map(re.escape, meant)))
        found[name] = words.sub(lambda word: meant[word[0]], (SOURCE / name).read_text(encoding="utf-8"))
    return found


def install(made: dict[str, str]) -> list[str]:
    """Write units that are not there or differ; return their names."""
    changed = []
    for name, text in made.items():
        target = TARGET / name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
            target.chmod(0o644)
            changed.append(name)
    if changed:
        subprocess.run(["systemctl", "daemon-reload"], check=True)  # noqa: S607
    return changed
