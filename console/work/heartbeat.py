"""Sign of life of the worker: a file in the state directory, touched as long as a worker of this machine runs."""

import time
from datetime import timedelta

from django.conf import settings

EVERY = timedelta(seconds=10)
FILE = "worker-lives"


def beat() -> int:
    """Touch the file; a full disk is no hindrance once the file is there."""
    (settings.STATE_DIR / FILE).touch(mode=0o600)
    return 0


def silence() -> timedelta | None:
    """Return the time since the last sign of life; None: there was none. A clock that was set shows in the answer."""
    try:
        return timedelta(seconds=time.time() - (settings.STATE_DIR / FILE).stat().st_mtime)
    except FileNotFoundError:
        return None
