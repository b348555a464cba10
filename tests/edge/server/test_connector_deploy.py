"""The deploy script, as the console serves it, up to what needs a package index: see the demo for the whole way."""

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.deploy_script import SCRIPT, called
from tests.quiet import QuietFiles, QuietHTTPServer, serving
from tests.running import ran

pytestmark = pytest.mark.processes


@pytest.fixture
def wheel(tmp_path: Path) -> Iterator[str]:
    """Serve a file in place of the wheel; give its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "causeway.whl").write_bytes(b"not what the console published")
    files = functools.partial(QuietFiles, directory=str(folder))
    with serving(QuietHTTPServer(("127.0.0.1", 0), files)) as port:
        yield f"http://127.0.0.1:{port}/causeway.whl"


def run(*arguments: str, wheel: str = "http://127.0.0.1:1/causeway.whl") -> subprocess.CompletedProcess[str]:
    values = {"kind": "connector", "console_url": "http://127.0.0.1:1", "wheel_url": wheel}
    values["wheel_name"] = "causeway.whl"
    text = SCRIPT.read_text()
    for name, value in {**values, "wheel_sha256": "0" * 64, "console_ca": ""}.items():
        text = text.replace("{{ " + name + " }}", value)
    return ran("sh", "-s", "--", *arguments, input=text)


def test_a_wheel_with_another_checksum_is_not_installed(tmp_path: Path, wheel: str) -> None:
    done = run("--code", "ABCD", "--home", str(tmp_path / "home"), "--foreground", wheel=wheel)
    assert done.returncode == 1 and "The checksum of causeway.whl is wrong" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("mode", [[], ["--foreground"]])
def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, mode: list[str]) -> None:
    precious = tmp_path / "home" / "photos"
    precious.mkdir(parents=True)
    done = run("--code", "ABCD", "--home", str(tmp_path / "home"), *mode)
    assert done.returncode == 1 and "holds other things. Give a folder of its own with --home" in done.stderr
    assert list((tmp_path / "home").iterdir()) == [precious]


def test_a_console_that_is_away_is_named(tmp_path: Path) -> None:
    done = run("--code", "ABCD", "--home", str(tmp_path / "home"), "--foreground")
    assert done.returncode == 1 and "Check the way to the console" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--nonsense"], "--nonsense is not an option. Legal: --code"),
        (["--code"], "--code needs a value"),
        (["--foreground", "--home", "/nonexistent/home"], "A code is needed"),
        (["--upgrade", "--foreground", "--home", "/nonexistent/home"], "Nothing is installed"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1 and sentence in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="Run this as root: it runs the script as somebody else.")
def test_a_home_that_cannot_be_written_is_said_before_anything_is_downloaded(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text(SCRIPT.read_text())
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", str(script)]
    home = tmp_path / "roots" / "home"
    done = ran(*command, "--code", "ABCD", "--home", home, "--foreground")
    assert done.returncode == 1 and f"{tmp_path} cannot be written. Run this as root" in done.stderr
    assert "Downloading" not in done.stdout


def test_two_runs_do_not_install_into_one_folder(tmp_path: Path) -> None:
    """The second one says who is at it; what a run that was killed has left is no hindrance."""
    values = {"versions": str(tmp_path / "versions"), "place": str(tmp_path)}
    around = 'say() { printf \'%s\\n\' "$*"; }\nfail() { say "$*"; exit 0; }\n{function}\necho entered'
    lock = tmp_path / "versions.lock"
    assert called("enter_place", values, around).strip() == "entered"
    lock.write_text(f"{2**22 + 1}\n")
    assert called("enter_place", values, around).strip() == "entered"
    lock.write_text(f"{os.getpid()}\n")
    assert f"as process {os.getpid()}" in called("enter_place", values, around)


@pytest.mark.parametrize(
    ("supervisor", "service", "answer"),
    [
        (None, "no", "somebody else"),
        (os.getpid(), "no", "ours"),
        (2**22 + 1, "no", "somebody else"),
        (None, "yes", "ours"),
    ],
    ids=["started by hand", "by the script", "the script has gone", "by systemd"],
)
def test_what_somebody_else_started_is_not_restarted(
    tmp_path: Path, supervisor: int | None, service: str, answer: str
) -> None:
    if supervisor is not None:
        (tmp_path / "supervisor.pid").write_text(f"{supervisor}\n")
    around = "{function} && echo ours || echo somebody else"
    assert called("is_supervised", {"service": service, "home": str(tmp_path)}, around).strip() == answer


OUTBOUND = "HTTPS_PROXY no_proxy SSL_CERT_FILE"


def test_a_service_is_told_of_the_ways_out_and_root_alone_reads_the_password(tmp_path: Path) -> None:
    """systemd reads the file as it stands; what is not set in the next run stays."""
    file = tmp_path / "etc" / "connector.env"
    values = {"ENVIRONMENT_FILE": str(file), "OUTBOUND": OUTBOUND}
    given = {"HTTPS_PROXY": 'http://anna:a"b\\c$d`e%f@p.test:3128', "no_proxy": "10.0.0.0/8, fd00::/8"}
    called("keep_environment", values | given, "unset HTTPS_PROXY no_proxy SSL_CERT_FILE\n" + _set(given))
    kept = file.read_text()
    assert kept == (
        'HTTPS_PROXY="http://anna:a\\"b\\\\c$d`e%f@p.test:3128"\nno_proxy="10.0.0.0/8, fd00::/8"\n'
    )
    assert file.stat().st_mode & 0o077 == 0
    called("keep_environment", values, "unset HTTPS_PROXY no_proxy SSL_CERT_FILE\n{function}")
    assert file.read_text() == kept


def _set(values: dict[str, str]) -> str:
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items()) + "\n{function}"


@pytest.mark.parametrize(("service", "refused"), [("yes", True), ("no", False)])
def test_a_store_that_a_service_cannot_read_is_refused(service: str, refused: bool) -> None:
    around = 'fail() { echo "$*"; exit 0; }\n{function}\necho accepted'
    values = {"service": service, "SSL_CERT_FILE": "/root/corp.pem", "SSL_CERT_DIR": ""}
    told = called("check_environment", values, around).strip()
    assert told.startswith("SSL_CERT_FILE names /root/corp.pem, which the service cannot read") is refused
    assert (told == "accepted") is not refused


def test_a_script_that_breaks_off_does_nothing() -> None:
    text = SCRIPT.read_text()
    assert text.rstrip().endswith('main "$@"')
    assert ran("sh", input=text[: len(text) // 2]).stdout == ""


@pytest.mark.skipif(
    shutil.which("shellcheck") is None,
    reason="shellcheck is not installed. On Debian: apt-get install shellcheck.",
)
def test_shellcheck_finds_nothing() -> None:
    done = ran("shellcheck", "--shell=sh", SCRIPT)
    assert done.returncode == 0, done.stdout
