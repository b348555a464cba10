"""The front's process: starts Envoy and the console's processes behind it, and ends all when one ends.

``manage.py serve`` becomes this program (``python -m console.front``), which has no Django in its memory.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.front.certificate import CertificateFiles
from console.front.envoy import Front
from console.front.serving import Serving
from edge.envoy import halfclose
from edge.envoy.socket_path import SOCKET_PATH_BYTES

log = logging.getLogger("front")


def _open_files() -> None:
    """Allow as many open files as the system grants: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m console.front")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--per-address", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="made anew, for sockets and the key")
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--tls-key", type=Path)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _open_files()
    tls = given.tls_certificate is not None
    certificate = CertificateFiles(given.tls_certificate, given.tls_key) if tls else None
    front = Front(given.host, given.port, tls, _countable(given.per_address))
    with _own(given.folder.absolute()) as folder:
        return Serving(front, certificate, given.workers, folder).run()


@contextmanager
def _own(wanted: Path) -> Iterator[Path]:
    """Give an empty folder that nobody else reads and no other front uses, and remove it in the end.

    One that was left by a front that was killed is emptied. Exit with a sentence when a front that runs has the folder.
    """
    # The path of a unix socket has little room.
    fits = len(os.fsencode(wanted / "gateways.sock")) <= SOCKET_PATH_BYTES
    folder = wanted if fits else Path(tempfile.mkdtemp(prefix="causeway-front-"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"The console is served already by a process that uses {folder}.") from None
        folder.chmod(0o700)
        for left in folder.iterdir():
            left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _countable(per_address: int) -> int | None:
    """Return the number of connections that one address may have; None, and a warning, where Envoy cannot count."""
    if not (reason := halfclose.hindrance()):
        return per_address
    log.warning("Connections are limited all together, but not by address. %s", reason)
    return None


if __name__ == "__main__":
    sys.exit(main())
