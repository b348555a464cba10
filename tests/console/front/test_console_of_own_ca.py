"""A console behind a company's own CA: the Deploy command as shown, the enrollment, the agent's calls."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.front.served import ROOT, Served
from tests.outbound import environment
from tests.running import causeway, ran
from tests.secured import ca_file

pytestmark = pytest.mark.processes

PANEL = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from console.machines import deploy
print(deploy.panel("gateway", "gateway-x")["fetch"])
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console whose certificate comes from a CA that no store has, and that it was told of."""
    folder = tmp_path_factory.mktemp("own-ca")
    console = Served(folder)
    console.environment["CAUSEWAY_TLS_CA"] = str(ca_file(folder, console.authority))
    (folder / "wheel").mkdir()
    (folder / "wheel" / "causeway-9.0-py3-none-any.whl").write_bytes(b"what pip cannot install")
    console.make()
    with console.running():
        yield console


def command(served: Served) -> str:
    """Return the beginning of the Deploy command, as the panel shows it."""
    shown = [sys.executable, "-c", PANEL]
    return subprocess.run(
        shown, cwd=ROOT, env=served.environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_deploy_command_works_as_shown(served: Served, tmp_path: Path) -> None:
    """Up to pip, which is given no wheel here: script and wheel came by certificates that were checked."""
    whole = f"{command(served)} | sh -s -- --code ABCD --home {tmp_path}/home --foreground"
    done = ran("sh", "-c", whole, cwd=tmp_path, env=environment(), seconds=150)
    assert "The checksum is right" in done.stdout, done.stdout + done.stderr
    assert "The packages could not be installed" in done.stderr


def test_a_command_of_another_ca_runs_nothing(served: Served, tmp_path: Path) -> None:
    first, digest, rest = command(served).partition(served_digest(served))
    assert digest
    whole = f"{first}{'0' * 64}{rest} | sh -s -- --code ABCD --home {tmp_path}/home --foreground"
    done = ran("sh", "-c", whole, cwd=tmp_path, env=environment())
    assert done.returncode != 0 and "is not the CA of this console" in done.stderr and not done.stdout


def served_digest(served: Served) -> str:
    import hashlib

    return hashlib.sha256(served.authority.pem).hexdigest()


def test_a_machine_enrolls_and_goes_on_by_the_ca_that_it_was_given(served: Served, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    code = (served.folder / "code").read_text()
    nobody = causeway("check", "--console", served.url, "--home", home, env=environment())
    assert (
        nobody.returncode == 1 and "issued by CN=Test CA" in nobody.stdout and "firewall" not in nobody.stdout
    )
    place = ("--console", served.url, "--home", home)
    file = ("--ca-file", str(ca_file(tmp_path, served.authority)))
    done = causeway("gateway", "enroll", *place, *file, env=environment(CAUSEWAY_CODE=code))
    assert done.returncode == 0, done.stderr
    assert Path(home, "console-ca.pem").read_bytes() == served.authority.pem
    assert Path(home, "pki", "ca.pem").read_bytes() != served.authority.pem
    assert Path(home, "console-ca.pem").stat().st_mode & 0o077 == 0
    checked = causeway("check", "--home", home, env=environment())
    assert f"{served.url} answers" in checked.stdout, checked.stdout
