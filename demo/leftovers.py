"""Leftovers of an earlier demo that was killed: its processes and, for a fresh start, its files."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

STOP_SECONDS = 5


def processes(home: Path) -> Iterator[psutil.Process]:
    """Yield the processes of a demo with this home: each inherited the home in its environment, as no other process."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in own and process.environ().get("CAUSEWAY_STATE_DIR") == str(home):
                yield process


def stop(home: Path) -> int:
    """Stop the processes of a demo with this home; return how many there were."""
    found = list(processes(home))
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(found, timeout=STOP_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(found)


def clear(home: Path) -> None:
    """Empty a demo's home. Only a folder that a demo made (or an empty one) is touched."""
    if not home.exists() or not any(home.iterdir()):
        return
    if not (home / "secret-key").exists():
        raise SystemExit(f"{home} is not empty and not a demo's folder: choose another --home.")
    stop(home)
    shutil.rmtree(home)
