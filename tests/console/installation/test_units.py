"""The units of console and worker, as systemd reads them: no unknown line, little left to attack, any place."""

import os
import re
import shutil
from pathlib import Path

import pytest

from console.installation import units
from console.installation.place import Refused
from tests.running import ran

MOST_EXPOSED = 25  # as for the units of gateways and servers

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


def written(folder: Path, name: str) -> Path:
    """Write a unit for a place with a space in its name, where its program is."""
    place = folder / "a place"
    place.mkdir()
    program = place / "causeway-console"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made = units.texts(file=place / "console.env", state=place, user="daemon", program=program)
    (place / name).write_text(made[name])
    return place / name


@with_systemd
@pytest.mark.processes
@pytest.mark.parametrize("name", units.NAMES)
def test_systemd_takes_every_line_and_little_is_left_to_attack(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, name)
    environment = os.environ | {"SYSTEMD_LOG_LEVEL": "notice"}
    done = ran("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file, env=environment)
    ours = [line for line in done.stderr.splitlines() if file.name in line]
    assert not ours and done.returncode == 0, done.stderr
    done = ran("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", file)
    if "nrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is older than 250")
    assert done.returncode == 0 and re.search("Overall exposure level", done.stdout), (
        done.stdout + done.stderr
    )


def test_places_are_those_of_the_machine() -> None:
    made = units.texts(
        file=Path("/srv/x/console.env"),
        state=Path("/home/c/state"),
        user="c",
        program=Path("/srv/bin/causeway-console"),
    )
    text = made["causeway-console.service"]
    for line in (
        "User=c",
        "EnvironmentFile=/srv/x/console.env",
        'ExecStart="/srv/bin/causeway-console" serve',
        'ReadWritePaths="/home/c/state"',
        "ProtectHome=no",
    ):
        assert f"\n{line}\n" in text
    assert "CAP_NET_BIND_SERVICE" in text and "CAP_NET_BIND_SERVICE" not in made["causeway-worker.service"]


@pytest.mark.parametrize("path", ["/srv/%h", '/srv/"x"', "/srv/$x", "/srv/[x]"])
def test_a_path_that_systemd_would_misread_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="systemd misreads"):
        units.texts(file=Path("/etc/x"), state=Path(path), user="c", program=Path("/srv/causeway-console"))
