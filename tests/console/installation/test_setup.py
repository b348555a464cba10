"""``causeway-console setup``: a console out of nothing, once and again, and the sentence of each refusal."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.console.installation.installed import PASSWORD, Installed
from tests.ending import ended
from tests.ports import free_port
from tests.postgres import PostgresUnavailable, private_postgres
from tests.waiting import rest

pytestmark = pytest.mark.processes
PATIENCE = 90
ADMINISTRATORS = """
from console.models import AuditRow, User
for user in User.objects.all():
    print(user.username, user.role, user.is_staff, user.check_password(%r))
print(AuditRow.objects.get(verb="user.create").actor)
"""


@pytest.fixture
def place(tmp_path: Path) -> Installed:
    made = Installed(tmp_path)
    made.prepare()
    return made


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installed]:
    """Give a place with an empty database of each kind."""
    if request.param == "SQLite":
        yield Installed(tmp_path)
        return
    try:
        with private_postgres() as url:
            yield Installed(tmp_path, url)
    except PostgresUnavailable as reason:
        pytest.skip(f"PostgreSQL is not there: {reason}")


def until(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        began = time.monotonic()
        assert began < deadline, f"not in time: {what}"
        rest(began)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_console_is_set_up_serves_works_and_is_in_good_health(either: Installed) -> None:
    either.prepare()
    first = either.setup(umask=0)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Made the administrator änne." in first.stdout and "doctor" in first.stdout
    settings, written = either.settings(), either.file.read_bytes()
    secrets = [settings[f"CAUSEWAY_{name}"] for name in ("SECRET_KEY", "SEALING_KEYS", "AUDIT_KEY")]
    assert len({*secrets}) == 3 and all(len(secret) > 60 and secret not in first.stdout for secret in secrets)
    assert either.manage(ADMINISTRATORS % PASSWORD) == "änne administrator True True\nconsole command"

    again = either.setup(said="", umask=0)
    assert again.returncode == 0, again.stdout + again.stderr
    for kept in ("the keys and settings", f"{either.file} as it is", "the tables", "the administrator änne"):
        assert f"Keeping {kept}" in again.stdout, again.stdout
    assert either.file.read_bytes() == written
    assert not any(either.modes().values()), either.modes()

    log = (either.folder / "log").open("wb")
    options = {
        "env": either.environment,
        "cwd": "/",
        "stdin": subprocess.DEVNULL,
        "stdout": log,
        "stderr": log,
    }
    with (
        log,
        ended(subprocess.Popen(either.command("serve"), **options), seconds=60),  # type: ignore[call-overload]
        ended(subprocess.Popen(either.command("worker"), **options), seconds=60),  # type: ignore[call-overload]
    ):
        until(lambda: answers(either), "the console answers")
        until((either.state / "worker-lives").exists, "the worker lives")
        found = either.findings()
    hindered = {name: each for name, each in found.items() if each["severity"] == "error"}
    assert not hindered
    assert {"address", "worker", "tables", "secrets", "static files", "wheel"} <= {*found}
    assert not any(either.modes().values()), either.modes()


def answers(place: Installed) -> bool:
    try:
        return httpx.get(f"{place.url}/healthz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--url", "https://"), "is no host name"),
        (("--url", "console.example.com"), "is no address of a console"),
        (("--url", "https://console.example.com/path"), "without a path"),
        (("--url", "https://a_b.example.com"), "is no host name"),
        (("--database", "postgres://causeway:secret@127.0.0.1/x"), "could read in the argument list"),
        (("--database", "mysql://127.0.0.1/x"), "“mysql” is no database"),
        (("--listen", "0.0.0.0"), "is no ADDRESS:PORT"),
        (("--mail", "mail.example.com:x"), "is no port of a mail server"),
        (("--mail", "mail.example.com"), "--mail-from"),
        (("--state", "/proc/no/folder"), "/proc/no"),
        (("--wheel", "/etc/hostname"), "is no wheel of Causeway"),
    ],
)
def test_a_senseless_answer_is_refused_in_a_sentence(
    place: Installed, words: tuple[str, ...], sentence: str
) -> None:
    done = place.setup(*words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert sentence in done.stderr and "secret" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nobody_there_is_told_what_to_give(tmp_path: Path) -> None:
    place = Installed(tmp_path)
    done = place.run("setup", "--no-services", "--state", place.state)
    assert done.returncode == 1 and "--url or CAUSEWAY_PUBLIC_URL in the environment" in done.stderr
    assert not place.file.exists() and not place.state.exists()


def test_a_database_that_is_down_is_named_and_the_next_run_goes_on(place: Installed) -> None:
    down = f"postgres://127.0.0.1:{free_port()}/causeway"
    done = place.setup("--database", down)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "The database cannot be used: " in done.stderr and "what is done is kept" in done.stderr
    keys = {name: value for name, value in place.settings().items() if "KEY" in name}
    found = place.findings()
    assert found["database"]["severity"] == "error" and "DATABASE_URL" in found["database"]["fix"]
    short = place.setup("--database", "sqlite", said="short\n")
    assert short.returncode == 1 and "too short" in short.stderr
    done = place.setup("--database", "sqlite")
    assert done.returncode == 0, done.stderr
    assert keys.items() <= place.settings().items() and "DATABASE_URL" not in place.settings()


def test_an_interrupted_run_leaves_nothing_broken(place: Installed) -> None:
    process = subprocess.Popen(
        [
            *place.command(
                "setup", "--no-services", "--url", place.url, "--state", place.state, "--administrator", "a"
            )
        ],
        env=place.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so perhaps this run, ignore what Ctrl-C sends.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Making the tables" in line:
            psutil.Process(process.pid).send_signal(signal.SIGINT)
            break
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "What is done is kept" in error and "Traceback" not in error
    done = place.setup()
    assert done.returncode == 0, done.stderr


def test_another_database_with_secrets_of_other_keys_is_refused(place: Installed) -> None:
    assert place.setup().returncode == 0
    place.manage("from console.machines import pki; pki.ca_pem()")
    place.file.unlink()
    done = place.setup()
    assert done.returncode == 1 and "no key of this console opens" in done.stderr, done.stdout + done.stderr


def test_a_folder_with_other_things_is_left_alone(place: Installed) -> None:
    place.state.mkdir(mode=0o755)
    (place.state / "thesis.odt").touch()
    place.file.unlink()
    done = place.setup()
    assert done.returncode == 1 and "thesis.odt" in done.stderr
    assert place.state.stat().st_mode & 0o777 == 0o755


def test_commands_name_a_file_that_is_missing_or_wrong(tmp_path: Path) -> None:
    place = Installed(tmp_path)
    for words in (("doctor",), ("serve",), ("manage", "check")):
        done = place.run(*words)
        assert done.returncode == 1 and "Run causeway-console setup" in done.stderr
    place.prepare()
    place.file.write_text("CAUSEWAY_PUBLIC_URL=https://x\nexport A=b\n")
    done = place.run("doctor")
    assert done.returncode == 1 and "line 2 is no assignment" in done.stderr
    place.file.write_text("CAUSEWAY_PUBLIC_URL=https://x\n")
    done = place.run("manage", "check")
    assert (
        done.returncode == 1
        and "CAUSEWAY_SECRET_KEY is not set" in done.stderr
        and "Traceback" not in done.stderr
    )
