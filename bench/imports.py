"""Import of 10,000 client accounts through the pages, with a worker that is killed in the middle.

    python -m bench.imports --accounts 10000

A console and a worker of their own are started on SQLite. A user logs in, uploads the file, looks at the preview, and
starts; every second line has a password, the others get one generated. When a third is done, console and worker are
killed and started again. At the end every account must be there once, with a hash as costly as Django's default, and
log on. On two cores 10,000 accounts take about half an hour, nearly all for the passwords' hashes.
"""

import csv
import io
import json
import os
import re
import secrets
import signal
import sqlite3
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from bench.reconnect import START_SECONDS, ConsoleProcess
from tests.demo import wait_until

USERNAME = "importer"
LOOK_SECONDS = 1.0
MOST_SECONDS_EACH = 5.0
PROGRESS = re.compile(r'<progress [^>]*max="(\d+)" value="(\d+)"')


@dataclass
class Seen:
    """Result of an import. Times are in seconds since its start; ``progress``: (time, accounts done)."""

    accounts: int
    check_seconds: float = 0.0
    killed_at: int = 0
    silent_seconds: float = 0.0
    seconds: float = 0.0
    progress: list[tuple[float, int]] = field(default_factory=list)
    state: str = ""
    listed: Counter[str] = field(default_factory=Counter)
    passwords: int = 0
    hashes: Counter[str] = field(default_factory=Counter)
    logons: list[int] = field(default_factory=list)


class Installation(ConsoleProcess):
    """Console with its worker."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "causeway.sqlite3"
        super().__init__(folder, f"sqlite:///{self.database}")
        self._worker: subprocess.Popen[bytes] | None = None

    def make(self, password: str, accounts: int) -> str:
        """Prepare database and files; return the id of an instance with room for the accounts."""
        self.manage("manage.py", "migrate", "--verbosity=0")
        self.manage("manage.py", "collectstatic", "--no-input", "--verbosity=0")
        world = {"password": password, "accounts": accounts}
        self.manage("-m", "bench.imports", "--world", text=json.dumps(world))
        with sqlite3.connect(self.database) as database:
            return str(database.execute("SELECT id FROM roaming_instance").fetchone()[0])

    def start(self) -> None:
        super().start()
        self._worker = self._started("worker")
        wait_until(self.answers, START_SECONDS, what="the console")

    def kill(self) -> None:
        if self._worker is not None:
            os.kill(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
            self._worker = None
        super().kill()


class Browser:
    """Browser of a user, without scripts."""

    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=300, follow_redirects=True)
        self.get("/log-in/")
        answer = self.post("/log-in/", {"username": USERNAME, "password": password})
        assert answer.url.path == "/", "the log-in was refused"

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path).raise_for_status()

    def post(
        self, path: str, data: dict[str, str] | None = None, file: tuple[str, bytes] | None = None
    ) -> httpx.Response:
        token = {"csrfmiddlewaretoken": self._http.cookies["csrftoken"]}
        files = {"file": file} if file else None
        return self._http.post(path, data=token | (data or {}), files=files).raise_for_status()


def lines(accounts: int) -> list[dict[str, str]]:
    """Return the file's lines; the odd lines have a password."""
    letters = string.ascii_letters + string.digits
    return [
        {
            "username": f"person{n:06}",
            "email": f"person{n:06}@example.org",
            "password": "".join(secrets.choice(letters) for _ in range(14)) if n % 2 else "",
        }
        for n in range(accounts)
    ]


def as_csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def measure(folder: Path, accounts: int) -> Seen:
    installation, password = Installation(folder), secrets.token_urlsafe(16)
    instance = installation.make(password, accounts)
    try:
        installation.start()
        browser = Browser(installation.url, password)
        seen, rows = Seen(accounts), lines(accounts)
        task = _upload(browser, instance, rows, seen)
        _watch(installation, browser, task, seen)
        _look(installation, browser, instance, task, rows, seen)
        return seen
    finally:
        installation.kill()


def _upload(browser: Browser, instance: str, rows: list[dict[str, str]], seen: Seen) -> str:
    """Go from the file to the page of the running task; return the path of the page."""
    begun = time.monotonic()
    preview = browser.post(f"/sag/instances/{instance}/accounts/import/", file=("list.csv", as_csv(rows)))
    seen.check_seconds = time.monotonic() - begun
    assert f"Import all {len(rows):,}" in preview.text, "the preview finds fault with the file"
    path = browser.post(f"{preview.url.path}start/").url.path
    assert path.startswith("/tasks/"), path
    return path


def _watch(installation: Installation, browser: Browser, task: str, seen: Seen) -> None:
    """Look at the progress as the page does, kill everything at a third, and wait for the end."""
    begun, killed = time.monotonic(), 0.0
    deadline = begun + 120 + MOST_SECONDS_EACH * seen.accounts
    while time.monotonic() < deadline:
        page = browser.get(f"{task}progress/").text
        if (match := PROGRESS.search(page)) is None:
            raise AssertionError("no progress on the page")
        done, now = int(match[2]), time.monotonic()
        seen.progress.append((now - begun, done))
        if killed and not seen.silent_seconds and done > seen.killed_at:
            seen.silent_seconds = now - killed
        if not killed and done >= seen.accounts // 3:
            installation.kill()
            seen.killed_at, killed = done, time.monotonic()
            installation.start()
        if "data-live" not in page:
            seen.seconds, seen.state = now - begun, " ".join(re.sub(r"<[^>]*>", " ", page).split())
            return
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"the import did not end: {seen.progress[-1]}")


def _look(
    installation: Installation,
    browser: Browser,
    instance: str,
    task: str,
    rows: list[dict[str, str]],
    seen: Seen,
) -> None:
    """Look at the outcome by the exported list, the passwords handed out, the database and a log-on of either kind."""
    exported = csv.DictReader(
        io.StringIO(browser.get(f"/sag/instances/{instance}/accounts/export/").text[1:])
    )
    seen.listed = Counter(row["username"] for row in exported)
    told = csv.DictReader(io.StringIO(browser.post(f"{task}secrets/").text[1:]))
    passwords = {row["Item"]: row["Password"] for row in told if row["Password"]}
    seen.passwords = len(passwords)
    with sqlite3.connect(f"file:{installation.database}?mode=ro", uri=True) as database:
        stored = database.execute("SELECT password FROM roaming_clientaccount")
        seen.hashes = Counter("$".join(text.split("$")[:4]) for (text,) in stored)
    for row in rows[:2]:
        body = {
            "instance": instance,
            "username": row["username"],
            "password": row["password"] or passwords[row["username"]],
            "kind": "connect",
        }
        seen.logons.append(httpx.post(f"{installation.url}/edge/v1/login", json=body, timeout=30).status_code)


def table(seen: Seen) -> Table:
    """Return a table of the result beside what is wanted."""
    made = Table("what", "seen", "wanted", title=f"Import of {seen.accounts:,} client accounts")
    twice = sum(1 for count in seen.listed.values() if count > 1)
    counts = [done for _, done in seen.progress]
    made.add_row("checked, to the preview", f"{seen.check_seconds:.1f} s", "")
    made.add_row("imported, to the end", f"{seen.seconds:,.0f} s", "")
    made.add_row("one account", f"{seen.seconds / seen.accounts:.3f} s", "")
    made.add_row("console and worker killed at", f"{seen.killed_at:,}", "")
    made.add_row("silent after the kill", f"{seen.silent_seconds:.0f} s", "")
    made.add_row("the task's last words", seen.state, "none failed")
    made.add_row("different states of progress seen", f"{len(set(counts)):,}", "")
    made.add_row("progress went backwards", "no" if counts == sorted(counts) else "yes", "no")
    made.add_row("accounts listed", f"{len(seen.listed):,}", f"{seen.accounts:,}")
    made.add_row("listed more than once", f"{twice:,}", "0")
    made.add_row("generated passwords handed out", f"{seen.passwords:,}", f"{-(-seen.accounts // 2):,}")
    for beginning, count in seen.hashes.items():
        made.add_row(f"hashes {beginning}", f"{count:,}", _default_hash())
    made.add_row("log-ons, generated and given password", str(seen.logons), "[200, 200]")
    return made


def _default_hash() -> str:
    from django.contrib.auth.hashers import Argon2PasswordHasher

    hasher = Argon2PasswordHasher
    return f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"


def world(password: str, accounts: int) -> None:
    """Make a user and an instance with room for the accounts."""
    import django

    django.setup()
    from console.core.audit import System
    from console.models import Region, User
    from roaming.instances.services import instance_create

    User.objects.create_user(username=USERNAME, password=password, role=User.Role.OPERATOR)
    region = Region.objects.get(pk="cn-shanghai")
    quota, actor = max(accounts, 5), System("bench")
    instance_create(region=region, name="large", cidrs=["10.0.0.0/12"], account_quota=quota, actor=actor)


def main(
    accounts: Annotated[int, typer.Option(min=3, max=20_000, help="Accounts to import.")] = 10_000,
) -> None:
    """Import so many client accounts, with a kill in the middle."""
    with tempfile.TemporaryDirectory(prefix="causeway-bench-imports-") as folder:
        Console(width=110).print(table(measure(Path(folder), accounts)))


if __name__ == "__main__":
    if "--world" in sys.argv:
        world(**json.load(sys.stdin))
    else:
        typer.run(main)
