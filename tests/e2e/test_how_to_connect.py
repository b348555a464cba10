"""The commands of the page *How to connect*, as the page shows them, typed at a terminal beside the running demo."""

import contextlib
import html
import os
import pty
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo import Demo, clean_environment
from tests.e2e.recipes import (
    database_server,
    git_server,
    program,
    published,
    run,
    ssh_options,
    ssh_server,
    stamp,
)
from tests.ports import free_port


@dataclass
class Terminal:
    """A command that runs at a terminal; `said`: what it has said."""

    pid: int
    screen: int
    said: str = ""

    def read(self) -> bool:
        """Read on; false at the end."""
        try:
            data = os.read(self.screen, 65536)
        except OSError:  # what Linux says when the last program has closed the terminal
            return False
        self.said += data.decode(errors="replace")
        return bool(data)

    def until(self, *words: str) -> bool:
        """Read until one of these words was said, or to the end; false at the end."""
        while not any(word in self.said for word in words):
            if not self.read():
                return False
        return True

    def type(self, line: str) -> None:
        os.write(self.screen, line.encode() + b"\n")

    def end(self) -> int:
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def begin(command: str, folder: Path) -> Terminal:
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("/bin/sh", ["/bin/sh", "-c", command], clean_environment() | {"HOME": str(folder)})
    return Terminal(pid, screen)


def typed(command: str, folder: Path, password: str = "") -> str:
    """Run a command to its end, with the password typed when it is asked for; return what was said."""
    terminal = begin(command, folder)
    if password and terminal.until("assword"):
        terminal.type(password)
    code = terminal.end()
    os.close(terminal.screen)
    assert code == 0, f"{command}\n{terminal.said}"
    return terminal.said


def shown(demo: Demo) -> dict[str, str]:
    """The commands of the page of the demo's account, by their labels."""
    account = demo.account()
    with contextlib.closing(demo.admin_client()) as admin:
        listed = admin.get(
            f"/sag/instances/{account['instance']}/accounts/", params={"q": account["username"]}
        ).text
        found = re.search(r"/sag/accounts/(user-[0-9a-z]+)/", listed)
        assert found, listed
        page = admin.get(f"/sag/accounts/{found[1]}/connect/").text
    commands = re.findall(r'<pre tabindex="0" aria-label="([^"]+)"><code>(.*?)</code></pre>', page, re.DOTALL)
    return {html.unescape(label): html.unescape(text) for label, text in commands}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somebody's home, with the program where the page installs it."""
    place = tmp_path / ".causeway" / "program" / "bin"
    place.mkdir(parents=True)
    root = Path(__file__).resolve().parents[2]
    script = place / "causeway"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {sys.executable} -m edge.cli "$@"\n'
    )
    script.chmod(0o755)
    return tmp_path


@contextlib.contextmanager
def connected(command: str, local: str, folder: Path, password: str) -> Iterator[int]:
    """Run a shown command of ``causeway connect`` with another local port for `local`; give that port."""
    port = free_port()
    command = command.replace(f" {local}=", f" {port}=") + f" --listen {free_port()}"
    terminal = begin(command, folder)
    try:
        assert terminal.until("assword"), terminal.said
        terminal.type(password)
        assert terminal.until("Ctrl-C"), terminal.said
        yield port
    finally:
        os.write(terminal.screen, b"\x03")  # Ctrl-C, as the program says
        terminal.end()
        os.close(terminal.screen)


def test_curl_and_the_pac_file_straight_through_the_gateway(demo: Demo, folder: Path) -> None:
    demo.servers_follow()
    program("curl")
    commands, password = shown(demo), demo.account()["password"]
    typed(commands["curl: Download the CA"], folder)
    assert (folder / "causeway-ca.pem").read_text() == Path(demo.world["ca_file"]).read_text()
    assert "wiki" in typed(commands["curl: Fetch a page"], folder, password)
    typed(commands["Browser: Download the PAC file"], folder, password)
    assert '"wiki.corp.example."' in (folder / "causeway.pac").read_text()
    assert password not in "".join(commands.values())


def test_git_straight_through_the_gateway(
    demo: Demo, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with git_server(tmp_path_factory.mktemp("git")) as origin, published(demo, "git", 80, origin):
        commands = shown(demo)
        typed(commands["curl: Download the CA"], folder)
        typed(commands["git: Clone a repository"], folder, demo.account()["password"])
    assert (folder / "code" / "README").read_text() == "the head office's code\n"


def test_ssh_by_a_forward(demo: Demo, folder: Path) -> None:
    program("ssh")
    with ssh_server(folder) as origin, published(demo, "ssh", 22, origin) as host:
        commands, word = shown(demo), stamp()
        with connected(commands["ssh: Forward"], "2222", folder, demo.account()["password"]) as port:
            command = shlex.split(commands["ssh: Log in"].replace("-p 2222", f"-p {port}"))
            assert command[0] == "ssh" and f"HostKeyAlias={host}" in command
            own = ssh_options(folder, host)
            assert run(program("ssh"), *own, *command[1:], f"echo {word}").strip() == word


def test_psql_by_a_forward(demo: Demo, folder: Path) -> None:
    program("psql")
    with database_server() as origin, published(demo, "db", 5432, origin):
        commands = shown(demo)
        with connected(commands["psql: Forward"], "5432", folder, demo.account()["password"]) as port:
            command = shlex.split(commands["psql: Connect"].replace("-p 5432", f"-p {port}"))
            answer = run(
                program("psql"), *command[1:], "-U", "causeway", "-XAtc", "SELECT inet_server_port()"
            )
            assert answer.strip() == str(origin)
