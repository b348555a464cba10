"""``causeway connect --keyring``: the real command at a real terminal, with a keyring in a file of the test's own."""

import contextlib
import fcntl
import json
import os
import select
import shlex
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.edge.console_lab import FakeConsole, grant, refusal
from tests.ports import free_port
from tests.running import ran

pytestmark = pytest.mark.processes

PASSWORD = "Correct-Horse-7"
COMMAND = [sys.executable, "-m", "edge.cli", "connect"]
WITHOUT_PACKAGE = "import sys; sys.modules['keyring'] = None; from edge.cli.app import main; main()"


@pytest.fixture
def console(console: FakeConsole) -> FakeConsole:
    """It accepts one password, and then has no gateway: by that the program ends by itself."""
    token = jwt.encode({"iat": 0, "exp": 600}, "a key of the test's console, long enough to sign with")

    def log_on(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["password"] != PASSWORD:
            return 401, refusal("LogonRefused", "The instance, user name or password is wrong.")
        return 200, grant(token, username=body["username"], instance=body["instance"])

    console.answers |= {"login": log_on, "logout": lambda body: (200, {})}
    return console


@dataclass
class Done:
    code: int
    events: list[dict[str, Any]]
    said: str  # at the terminal and on standard error

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {"PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring", "XDG_DATA_HOME": str(tmp_path)}
    # Wherever the tests run: no desktop's keyring, no file of settings.
    strange = ("DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME")
    return {k: v for k, v in os.environ.items() if k not in strange} | own | {"HOME": str(tmp_path)}


def options(url: str, *more: str, username: str = "alice.smith", instance: str = "sag-1") -> list[str]:
    place = ["--console", url, "--instance", instance, "--username", username]
    return [*place, "--listen", str(free_port()), "--json", *more]


def connect(
    command: list[str], environment: dict[str, str], *, typed: str | None = None, terminal: bool = True
) -> Done:
    """Run it. `typed`: what its user types when it asks; without, a question fails the test by its time limit."""
    master, slave = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    with contextlib.ExitStack() as stack:
        stack.callback(os.close, master)
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=(slave,),
            preexec_fn=take_terminal if terminal else None,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        os.close(slave)
        said = ""
        if typed is not None:
            said = asked(master)
            os.write(master, typed.encode() + b"\n")
        output, errors = process.communicate(timeout=30)
        return Done(process.returncode, [json.loads(line) for line in output.splitlines()], said + errors)


def asked(master: int) -> str:
    """Wait for the question at the terminal; return it."""
    said, deadline = "", time.monotonic() + 30
    while not said.endswith(": "):
        ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"the question did not come: {said!r}"
        said += os.read(master, 1000).decode()
    return said


def keyring(verb: str, service: str, username: str, environment: dict[str, str], text: str = "") -> str:
    command = [sys.executable, "-m", "keyring", verb, service, username]
    return ran(*command, env=environment, input=text).stdout.strip()


def test_it_is_asked_for_once_and_kept(console: FakeConsole, environment: dict[str, str]) -> None:
    first = connect([*COMMAND, *options(console.url, "--keyring")], environment, typed=PASSWORD)
    assert "Password of alice.smith@sag-1" in first.said and PASSWORD not in first.said
    assert first.names == ["password_saved", "failed"]
    place = first.events[0]
    assert place["service"] == f"causeway:{console.url}" and place["username"] == "alice.smith@sag-1"
    assert keyring("get", place["service"], place["username"], environment) == PASSWORD
    # However the console's address is written, and where nobody can be asked.
    shouted = console.url.replace("http", "HTTP") + "/"
    second = connect([*COMMAND, *options(shouted, "--keyring")], environment, terminal=False)
    assert second.names == ["failed"] and "There is no gateway" in second.events[0]["message"]
    assert [body["password"] for body in console.bodies("login")] == [PASSWORD] * 2


def test_a_wrong_one_is_not_kept(console: FakeConsole, environment: dict[str, str], tmp_path: Path) -> None:
    done = connect([*COMMAND, *options(console.url, "--keyring")], environment, typed="Wrong-Horse-7")
    assert (done.code, done.names) == (5, ["refused"])
    assert done.events[0]["message"] == "The instance, user name or password is wrong."
    assert not any("Wrong-Horse-7" in file.read_text() for file in tmp_path.rglob("*.cfg"))


def test_a_refused_one_out_of_the_keyring_names_the_command_that_changes_it(
    console: FakeConsole, environment: dict[str, str]
) -> None:
    keyring("set", f"causeway:{console.url}", "alice.smith@sag-1", environment, "Old-Horse-7\n")
    done = connect([*COMMAND, *options(console.url, "--keyring")], environment)
    assert (done.code, done.names) == (5, ["refused"]) and done.events[0]["code"] == "LogonRefused"
    sentence, _, command = done.events[0]["message"].partition("change it there with: ")
    assert "is the one in the keyring" in sentence
    *_, verb, service, username = shlex.split(command)
    keyring(verb, service, username, environment, PASSWORD + "\n")
    again = connect([*COMMAND, *options(console.url, "--keyring")], environment)
    assert again.names == ["failed"] and "There is no gateway" in again.events[0]["message"]


@pytest.mark.parametrize("other", ["user", "instance", "console"])
def test_consoles_instances_and_users_have_entries_of_their_own(
    console: FakeConsole, environment: dict[str, str], other: str
) -> None:
    keyring("set", f"causeway:{console.url}", "alice.smith@sag-1", environment, PASSWORD + "\n")
    url = console.url.replace("127.0.0.1", "localhost") if other == "console" else console.url
    different = {"user": {"username": "bob"}, "instance": {"instance": "sag-2"}}.get(other, {})
    done = connect([*COMMAND, *options(url, "--keyring", **different)], environment, typed=PASSWORD)
    assert done.names == ["password_saved", "failed"], "the entry of the other one is not used"
    assert len(console.bodies("login")) == 1


def test_without_a_terminal_the_sentence_says_how_to_put_it_in(
    console: FakeConsole, environment: dict[str, str]
) -> None:
    done = connect([*COMMAND, *options(console.url, "--keyring")], environment, terminal=False)
    assert done.code == 2 and "There is no terminal to ask for the password at: put it in with:" in done.said
    plain = connect([*COMMAND, *options(console.url)], environment, terminal=False)
    assert plain.code == 2 and plain.said.strip().endswith("give --password-file FILE or --keyring.")
    assert not console.calls


def test_a_keyring_that_takes_nothing_does_not_end_the_session(
    console: FakeConsole, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = environment | {"XDG_DATA_HOME": str(tmp_path / "file")}
    done = connect([*COMMAND, *options(console.url, "--keyring")], broken, typed=PASSWORD)
    assert done.names == ["password_not_saved", "failed"]
    assert done.events[0]["message"].startswith("The keyring did not take the password: ")
    assert PASSWORD not in json.dumps(done.events)


def test_a_keyring_that_cannot_be_read(
    console: FakeConsole, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "python_keyring"
    folder.mkdir()
    (folder / "keyring_pass.cfg").write_text("neither a section nor a value\n")
    done = connect([*COMMAND, *options(console.url, "--keyring")], environment)
    assert (done.code, done.names) == (1, ["failed"])
    assert done.events[0]["message"].startswith("The keyring could not be read: ")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS always has a keyring.")
def test_a_file_in_the_clear_is_no_keyring_unless_it_is_asked_for(
    console: FakeConsole, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["PYTHON_KEYRING_BACKEND"]
    done = connect([*COMMAND, *options(console.url, "--keyring")], environment)
    assert (done.code, done.names) == (1, ["failed"])
    assert done.events[0]["message"].startswith("This machine has no keyring")
    assert not list(tmp_path.rglob("*.cfg")) and not console.calls


def test_without_the_package_a_sentence_says_how_to_get_it(
    console: FakeConsole, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-c", WITHOUT_PACKAGE, "connect", *options(console.url, "--keyring")]
    done = connect(command, environment)
    assert done.code == 2 and not console.calls
    assert done.said.startswith("--keyring needs a package that is not installed. Get it with: ")
    assert done.said.endswith(" -m pip install keyring\n")


def test_a_file_and_the_keyring_exclude_each_other(
    console: FakeConsole, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    both = ("--keyring", "--password-file", str(tmp_path / "password"))
    done = connect([*COMMAND, *options(console.url, *both)], environment)
    assert done.code == 2
    assert done.said.strip() == "--keyring and --password-file exclude each other: give one of them."
