"""Functions of the deploy script by themselves, in the script's own words."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from tests.running import ran

SCRIPT = Path(__file__).parents[2] / "templates" / "deploy" / "machine.sh"


def called(function: str, values: Mapping[str, str], around: str) -> str:
    """What the shell prints for the lines ``around`` a function of the script; ``{function}`` stands in their midst.

    ``values``: the variables that it finds.
    """
    text = SCRIPT.read_text()
    start = text.index(f"{function}() {{")
    body = text[start : text.index("\n}\n", start) + 3]
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    program = "\n".join(["set -eu", *lines, around.replace("{function}", f"{body}\n{function}")])
    done = ran("sh", "-c", program)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_unit(target: Path, kind: str, *, user: str, home: str, place: str) -> None:
    """Leave the unit that the script would write for such a machine in ``target``; systemd is not told."""
    values = {"KIND": kind, "UNIT": f"causeway-{kind}", "UNIT_FILE": str(target), "SERVICE_USER": user}
    values["ENVIRONMENT_FILE"] = f"{target}.env"
    values |= {"home": home, "place": place, "causeway": f"{place}/causeway"}
    called("write_unit", values, "systemctl() { :; }\n{function}")
