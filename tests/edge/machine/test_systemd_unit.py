"""The service that the deploy script installs, as systemd reads it: no unknown line, and little left to attack."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.edge.deploy_script import write_unit
from tests.running import ran

MOST_EXPOSED = 25  # tenths, as systemd-analyze counts; up to 49 it says "OK"

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
    ),
]


def unit(tmp_path: Path, kind: str) -> Path:
    """What the script writes, made by its own lines; only the call of systemctl is left out."""
    (tmp_path / "home").mkdir()
    program = tmp_path / "causeway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / f"causeway-{kind}.service"
    write_unit(file, kind, user="daemon", home=str(tmp_path / "home"), place=str(tmp_path))
    return file


@pytest.mark.parametrize("kind", ["connector", "gateway"])
def test_systemd_takes_every_line_of_the_unit(tmp_path: Path, kind: str) -> None:
    file = unit(tmp_path, kind)
    environment = os.environ | {"SYSTEMD_LOG_LEVEL": "notice"}
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)]
    done = ran(*command, env=environment)
    ours = [line for line in done.stderr.splitlines() if file.name in line]
    assert not ours and done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["connector", "gateway"])
def test_the_unit_leaves_little_to_attack(tmp_path: Path, kind: str) -> None:
    file = unit(tmp_path, kind)
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(file)]
    done = ran(*command)
    if "nrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is older than 250")
    overall = re.search(r"Overall exposure level.*", done.stdout)
    assert done.returncode == 0 and overall, done.stdout + done.stderr
    found = ran(*command[:3], "--json=short", file)
    held = {entry["name"]: entry["set"] for entry in json.loads(found.stdout)}
    assert held["NoNewPrivileges="] is True and held["ProtectSystem="] is True
