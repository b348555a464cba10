"""The applications of docs/clients.md for the time of a test: a git repository, an sshd, a PostgreSQL, on loopback."""

import contextlib
import functools
import getpass
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from tests import postgres
from tests.demo import Demo, post, wait_until
from tests.ending import ended
from tests.ports import free_port
from tests.quiet import QuietFiles, QuietHTTPServer, serving
from tests.running import ran

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
# The Debian packages of the programs that the recipes name.
PACKAGES = {
    "apt-get": "apt",
    "curl": "curl",
    "dpkg-deb": "dpkg",
    "git": "git",
    "java": "openjdk-17-jdk-headless",
    "nc": "netcat-openbsd",
    "node": "nodejs",
    "openssl": "openssl",
    "psql": "postgresql-client",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
}
SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel ERROR
"""


def program(name: str) -> str:
    """Return the path of a program; a test without its program is skipped, and says where to get the program."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed on this machine. On Debian: apt-get install {PACKAGES[name]}.")
    return path


def netcat() -> str:
    """Return the path of an nc that knows proxies."""
    path = program("nc")
    usage = ran(path, "-h")
    if "-X" not in usage.stdout + usage.stderr:
        pytest.skip(
            f"{path} knows no proxies (-X); OpenBSD's does. On Debian: apt-get install {PACKAGES['nc']}."
        )
    return path


def run(*command: str | Path, **arguments: object) -> str:
    """Return what a command prints; a command that fails makes the test fail with the command's words."""
    done = ran(*command, seconds=40, stdin=subprocess.DEVNULL, **arguments)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def documented_script() -> str:
    """Return the one script of docs/clients.md, as a reader copies it."""
    found = re.search(r"```sh\n(#!/bin/sh\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found, "docs/clients.md holds the script"
    return found[1]


# -- Applications -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def published(demo: Demo, name: str, port: int, origin: int, *, settled: bool = True) -> Iterator[str]:
    """Publish an application for everybody, in the console as its administrator; yield its host name.

    ``settled``: once it is reached, and not at once.
    """
    host = f"{name}-{time.time_ns()}.recipes.example"
    with application(demo, host, str(port), f"127.0.0.1:{origin}"):
        if settled:
            wait_until(lambda: all(reaches(demo, host, port) for _ in range(12)), 30, what=f"a way to {host}")
        yield host


@contextlib.contextmanager
def application(demo: Demo, address: str, ports: str, origin: str) -> Iterator[None]:
    """Add an application with a policy for everybody; both are deleted at the end."""
    with contextlib.closing(demo.admin_client()) as admin:
        named = {"name": address, "enabled": "on"}
        where = {"protocol": "TCP", "addresses": address, "ports": ports, "origin": origin}
        added = _add(admin, "/sase/applications/", named | where)
        who = {"priority": "5", "users": "all", "scope": "selected", "applications": added}
        policy = _add(admin, "/sase/policies/", named | who | {"connector": demo.connector()["id"]})
        try:
            yield
        finally:
            post(admin, f"/sase/policies/{policy}/delete/").raise_for_status()
            post(admin, f"/sase/applications/{added}/delete/").raise_for_status()


def _add(admin: httpx.Client, url: str, fields: dict[str, str]) -> str:
    """Fill in a form; return the new object's id, as its list shows it."""
    answer = post(admin, f"{url}add/", fields)
    assert answer.status_code == 200 and str(answer.url).endswith(url), answer.text[:2000]
    page = admin.get(url, params={"q": fields["name"]}).text
    found = re.search(rf"{re.escape(url)}((?:fs|pa-application)-[0-9a-f]+)/", page)
    assert found, f"{fields['name']} is on {url}"
    return found[1]


def reaches(demo: Demo, host: str, port: int) -> bool:
    return demo.verdict(host, port)[0] == 200


# -- What runs behind them --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def git_server(folder: Path) -> Iterator[int]:
    """Serve a repository with one commit over plain HTTP."""
    git, work = program("git"), folder / "work"
    identity = ("-c", "user.name=Test", "-c", "user.email=test@corp.example", "-c", "commit.gpgsign=false")
    run(git, "init", "--quiet", "--initial-branch=main", work)
    (work / "README").write_text("the head office's code\n")
    run(git, "-C", work, "add", "README")
    run(git, *identity, "-C", work, "commit", "--quiet", "--message=first")
    served = folder / "served"
    run(git, "clone", "--quiet", "--bare", work, served / "code.git")
    run(git, "-C", served / "code.git", "update-server-info")
    files = functools.partial(QuietFiles, directory=str(served))
    with serving(QuietHTTPServer(("127.0.0.1", 0), files)) as port:
        yield port


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[int]:
    """Run a private sshd that lets its user in by ``folder/user``; its host key is ``folder/host.pub``."""
    sshd, keygen = program("sshd"), program("ssh-keygen")
    for name in ("host", "user"):
        run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    port = free_port()
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd locks its unprivileged part in this folder
    with (folder / "sshd.log").open("w") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stdout=log, stderr=log)
    with ended(server):
        wait_until(lambda: _listens(port, server), 15, what="sshd")
        yield port


def _listens(port: int, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, "sshd has ended"
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
        return probe.recv(4) == b"SSH-"
    return False


def ssh_options(folder: Path, host: str) -> list[str]:
    """Return options that trust exactly this sshd, by its name for users, without this machine's agent and settings."""
    (folder / "known").write_text(f"{host} {(folder / 'host.pub').read_text()}")
    options = {"UserKnownHostsFile": folder / "known", "HostKeyAlias": host, "BatchMode": "yes"}
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["-F", "none", "-i", str(folder / "user"), "-l", getpass.getuser(), *given]


@contextlib.contextmanager
def database_server() -> Iterator[int]:
    """Run a private PostgreSQL on a TCP port of loopback."""
    port = str(free_port())
    listening = {"listen_addresses": "127.0.0.1", "port": port}
    try:
        options = patch.dict(postgres.OPTIONS, listening)
        with options, patch.dict(os.environ, {"PGPORT": port}), postgres.private_postgres():
            yield int(port)
    except postgres.PostgresUnavailable as unavailable:
        pytest.skip(f"PostgreSQL cannot be run here: {unavailable} On Debian: apt-get install postgresql.")


def stamp() -> str:
    """Return a word that only this run knows."""
    return f"seen-{time.time_ns()}"
