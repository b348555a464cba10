"""The drill of docs/operations.md: console and database destroyed, restored on an empty place, machines come back.

Gateways and servers are real and know nothing of it: they keep their homes, and enroll nowhere.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.demo import (
    ROOT,
    Demo,
    Tunnel,
    clean_environment,
    is_alive,
    post,
    start_demo,
    stop_demo,
    wait_until,
)
from tests.postgres import PostgresUnavailable, private_postgres

READY_SECONDS = 300
BACK_SECONDS = 300


class Drill:
    """A demo whose manager sleeps, so that its console can be taken away and another put into its place."""

    def __init__(self, home: Path, folder: Path, url: str, other: str) -> None:
        self.home, self.folder, self.other = home, folder, other
        self.place = folder / "place"
        self.backup, self.key, self.settings = folder / "one.backup", folder / "key", folder / "causeway.env"
        environment = {"DATABASE_URL": url} if url else {}
        self.process, output = start_demo(home, environment=environment, seconds=READY_SECONDS)
        self.demo = Demo(home, self.process, output)
        self.process.send_signal(signal.SIGSTOP)
        self.console_environment = psutil.Process(self.demo.pid("console")).environ()
        self.started: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: str, environment: dict[str, str]) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def destroy(self) -> None:
        """Kill console and worker, and remove every file of theirs; those of the machines stay."""
        for name in ("worker", "console"):
            main = psutil.Process(self.demo.pid(name))
            killed = [main, *main.children(recursive=True)]
            for process in killed:
                process.kill()
            wait_until(lambda: not any(map(is_alive, killed)), 20, what=f"the end of the {name}")  # noqa: B023
        for path in self.home.iterdir():
            if path.name.startswith(("causeway.sqlite3", "epoch-", "secret-key")):
                path.unlink()
        for name in ("wheel", "static"):
            shutil.rmtree(self.home / name, ignore_errors=True)

    def rebuild(self) -> str:
        """Do what the document says, on an empty place with an empty database; return the words of the restore."""
        empty = clean_environment() | {
            "CAUSEWAY_DEBUG": "1",
            "CAUSEWAY_STATE_DIR": str(self.folder / "no-place"),
        }
        with_key = (str(self.backup), "--key-file", str(self.key))
        self.manage("restore", *with_key, "--settings-to", str(self.settings), environment=empty)
        variables = dict(line.split("=", 1) for line in self.settings.read_text().splitlines())
        self.environment = clean_environment() | {
            name: shlex.split(value)[0] if value else "" for name, value in variables.items()
        }
        self.place.mkdir(mode=0o700)
        self.environment["CAUSEWAY_STATE_DIR"] = str(self.place)
        if self.other:
            self.environment["DATABASE_URL"] = self.other
        said = self.manage("restore", *with_key, environment=self.environment)
        self.manage("collectstatic", "--no-input", "--verbosity=0", environment=self.environment)
        port = str(urlsplit(self.demo.console).port)
        for command in (["serve", "--port", port], ["worker"]):
            with (self.folder / f"{command[0]}.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "manage.py", *command],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # as every program of the demo
                )
            self.started.append(process)
        return said

    def close(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(30)
        self.process.send_signal(signal.SIGCONT)
        stop_demo(self.process, self.home)


@contextmanager
def databases(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the URLs of two empty databases; of SQLite none, since each place has its own."""
    if kind == "SQLite":
        yield "", ""
        return
    try:
        with private_postgres() as url, private_postgres() as other:
            yield url, other
    except PostgresUnavailable as reason:
        pytest.skip(f"PostgreSQL is not there: {reason}")


def open_to_others(folder: Path) -> list[str]:
    """Name what others may read, but for static files, which are for everybody, and the wheel that pip writes."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or path.is_relative_to(folder / "static") or path.parent == folder / "wheel":
            continue
        with suppress(FileNotFoundError):  # temporary, and gone by now
            if (mode := path.stat().st_mode & 0o777) & 0o077:
                found.append(f"{path} {mode:o}")
    return found


def is_cut(flow: Tunnel) -> bool:
    """Tell whether a flow ends, waiting for its end."""
    flow.socket.settimeout(BACK_SECONDS)
    with flow:
        try:
            while flow.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_machines_come_back_to_a_console_that_was_rebuilt_from_its_backup(kind: str, tmp_path: Path) -> None:
    with databases(kind) as (url, other), closing(Drill(tmp_path / "demo", tmp_path, url, other)) as drill:
        demo = drill.demo
        connector = demo.connector()["id"]
        assert demo.curl("http://wiki.corp.example/").status == 200
        assert not open_to_others(demo.home)
        drill.manage("backup", "--new-key", str(drill.key), environment=drill.console_environment)
        drill.manage(
            "backup", str(drill.backup), "--key-file", str(drill.key), environment=drill.console_environment
        )
        # What every machine learns after the backup is forgotten by it.
        with closing(demo.admin_client()) as admin:
            for action in ("disable", "enable"):
                post(admin, f"/sase/connectors/{connector}/{action}/").raise_for_status()
        wait_until(
            lambda: demo.curl("http://wiki.corp.example/").status == 200, 60, what="a flow before the end"
        )
        epochs = {epoch(path) for path in demo.home.glob("machine-*")}
        identities = {path: path.read_bytes() for path in demo.home.glob("machine-*/identity.json")}
        before = demo.connect("echo.corp.example", 7)
        assert before.status == 200

        drill.destroy()
        said = drill.rebuild()

        assert "A new epoch begins" in said and "Restored: the console of" in said
        machines = list(demo.home.glob("machine-*"))
        wait_until(
            lambda: not epochs & {epoch(path) for path in machines},
            BACK_SECONDS,
            what="the new epoch everywhere",
        )
        assert is_cut(before), "a session of before goes on"
        wait_until(
            lambda: demo.curl("http://wiki.corp.example/").status == 200,
            BACK_SECONDS,
            what="a flow afterwards",
        )
        assert {path: path.read_bytes() for path in identities} == identities
        with closing(demo.admin_client()) as admin:
            flow = demo.connect("echo.corp.example", 7)
            assert flow.status == 200
            assert "Another history" not in admin.get("/gateways/").text
            audit = admin.get("/audit/").text
            assert "backup.restore" in audit and "backup.create" not in audit
            post(admin, f"/sase/connectors/{connector}/disable/").raise_for_status()
            assert is_cut(flow)
            assert demo.connect("echo.corp.example", 7).status == 403
        (wheel,) = (drill.place / "wheel").glob("causeway-*.whl")
        assert wheel.stat().st_mode & 0o777 == 0o600
        assert not open_to_others(drill.place)


def epoch(machine: Path) -> str:
    """Return the epoch of the configuration that a machine has on its disk."""
    for name in ("snapshot.json", "config.json"):
        if (machine / name).exists():
            return str(json.loads((machine / name).read_text()).get("epoch", ""))
    return os.fspath(machine)
