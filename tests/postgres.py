"""A private PostgreSQL for one test run: its own cluster in a temporary folder, reached by a unix socket only.

As a context manager::

    with private_postgres() as url: ...

or around a command, which finds it in ``DATABASE_URL``::

    python -m tests.postgres -- pytest -m database
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

START_SECONDS = 60
USER = "causeway"
# A cluster that lives for one run need not survive a power cut.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "log_min_messages": "fatal",
}


class PostgresUnavailable(Exception):
    """PostgreSQL cannot be run here; the message says why, as a sentence."""


def find_binaries() -> Path:
    """The folder with ``initdb`` and ``postgres``: that on the PATH, else Debian's newest, else Homebrew's newest."""
    if found := shutil.which("initdb"):
        folder = Path(found).resolve().parent
        if (folder / "postgres").exists():
            return folder
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    places += Path("/usr/local/opt").glob("postgresql@*/bin")
    usable = [place for place in places if place.joinpath("initdb").exists()]
    if not usable:
        raise PostgresUnavailable("initdb was not found on the PATH or under /usr/lib/postgresql.")
    return max(
        usable, key=lambda place: float("".join(c for c in place.parent.name if c.isdigit() or c == ".") or 0)
    )


def _unprivileged() -> dict[str, Any]:
    """Arguments for ``subprocess`` that leave root behind: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresUnavailable("it does not run as root, and there is neither a user postgres nor nobody.")


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Return once a connection is accepted; the socket alone appears earlier."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user=USER, dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresUnavailable(f"it did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


@contextmanager
def private_postgres(*, durable: bool = False) -> Iterator[str]:
    """Start a cluster, yield its URL for ``DATABASE_URL``, stop and remove it.

    ``durable``: a commit is on the disk when it is answered, as in operation, so that it can be timed.

    Raises ``PostgresUnavailable`` where it cannot be had.
    """
    binaries, identity = find_binaries(), _unprivileged()
    # Directly under /tmp: the path of a unix socket may be no longer than about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="causeway-pg-", dir="/tmp"))
    log = folder / "log"
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        initdb: list[str | Path] = [binaries / "initdb", "-D", folder / "data", "-U", USER]
        initdb += ["-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*initdb, "--locale=C", "--no-sync", "--no-instructions"],
            cwd=folder, capture_output=True, text=True, check=False, **identity,
        )  # fmt: skip
        if made.returncode:
            raise PostgresUnavailable(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
        chosen = {name: value for name, value in OPTIONS.items() if not durable or value != "off"}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", "-k", folder, *options],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **identity,
            )  # fmt: skip
        try:
            _wait_until_ready(server, folder, log)
            yield f"postgres://{USER}@{quote(str(folder), safe='')}/postgres"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)  # "fast": ends the sessions, then itself
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate"
        server.wait(10)


def main(arguments: list[str]) -> int:
    """Run a command with ``DATABASE_URL`` set; its exit code is ours. ``--available`` only answers whether it could."""
    try:
        if arguments == ["--available"]:
            find_binaries(), _unprivileged()
            return 0
        if arguments[:1] != ["--"] or len(arguments) < 2:
            print("usage: python -m tests.postgres [--available | -- COMMAND ...]", file=sys.stderr)
            return 2
        with private_postgres() as url:
            # Ctrl-C reaches the command by itself; the cluster must outlive it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            command = subprocess.Popen(
                arguments[1:], env=os.environ | {"DATABASE_URL": url}, preexec_fn=_heed_interrupt
            )
            return command.wait()
    except PostgresUnavailable as unavailable:
        print(f"\nPostgreSQL was not tested: {unavailable}", flush=True)
        return 1


def _heed_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
