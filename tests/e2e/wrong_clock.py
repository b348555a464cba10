"""Library that tells any program the wrong time of day; Envoy does not start under libfaketime.

It stands before the C library's three functions for the time of day; how long things last is left alone.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const long seconds_off = SECONDS_OFF;

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds_off;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec fine;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &fine)) return -1;
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (seconds) *seconds = fine.tv_sec;
    return fine.tv_sec;
}
"""


def missing() -> str:
    """Return why clocks cannot be set wrong here; empty when they can."""
    bring = "A C compiler is missing; Debian's packages gcc and libc6-dev bring it."
    return "" if shutil.which("cc") else bring


def wrong_by(seconds: int) -> dict[str, str]:
    """Return the variables of a program whose clock is to be so far ahead."""
    return {"LD_PRELOAD": str(_library(seconds))}


@functools.cache
def _library(seconds: int) -> Path:
    """Return the library's path, which every user may read: PostgreSQL does not run as root.

    The seconds are part of the library, since an agent's Envoy is told few of the agent's variables.
    """
    folder = Path(tempfile.mkdtemp(prefix="causeway-clock-"))
    folder.chmod(0o755)
    library = folder / "wrong_clock.so"
    command = [
        "cc",
        f"-DSECONDS_OFF=({seconds}L)",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
    ]
    subprocess.run([*command, "-x", "c", "-"], input=SOURCE, text=True, check=True)
    return library
