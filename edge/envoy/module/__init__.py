"""The dynamic module by which Envoy ends CONNECT byte for byte, one file for each platform.

halfclose.c: at a TCP connection; front.c: over HTTP/1; forward.c: of port forwards; requests.c: accounts' bandwidth;
answers.c: answers that break off; streams.c: of HTTP/2, what Envoy would keep; callers.c: connections of one address;
hosts.c: underscores in hosts; network.c, envoy.h: what they have in common. numbers.c and linger.c make a file of their
own, which is loaded before all others.

`build` makes the files; `edge.envoy.halfclose` tells whether this machine's one can be used.
"""

import platform
import sys
from pathlib import Path

# The number is raised whenever the module's behaviour changes: an Envoy that runs an older one is then replaced.
NAME = "causeway_halfclose_10"
FOLDER = Path(__file__).resolve().parent
_NAMES = ("answers", "callers", "forward", "front", "halfclose", "hosts", "network", "requests", "streams")
SOURCES = tuple(FOLDER / f"{name}.c" for name in _NAMES)
HEADERS = tuple(FOLDER / f"{name}.h" for name in ("envoy", "linger", "preload"))
PRELOADED = (FOLDER / "numbers.c", FOLDER / "linger.c")
# What Envoy is there for, with the name by which Zig knows it; an old glibc, so that younger ones do as well.
PLATFORMS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "macos-arm64": "aarch64-macos",
}


def this_platform() -> str:
    """Name this machine's system and processor as the folders of the libraries are named."""
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    return f"{system}-{platform.machine().lower()}"


def library(of: str | None = None) -> Path:
    """Return where the module for a platform is, or would be; Envoy adds ``lib`` and ``.so`` on every system."""
    return FOLDER / (of or this_platform()) / f"lib{NAME}.so"


def made_of(platform: str) -> dict[Path, tuple[Path, ...]]:
    """Name the files that a platform needs, and the sources of each; what is preloaded, for Linux only."""
    files = {library(platform): SOURCES}
    return files | ({preloaded(platform): PRELOADED} if platform.startswith("linux") else {})


def is_built() -> bool:
    """Whether all that this machine needs was compiled."""
    return all(path.is_file() for path in made_of(this_platform()))


def preloaded(of: str | None = None) -> Path:
    """Return where the library is that Envoy's process loads before the system's; on Linux only."""
    return library(of).with_name("libcauseway_preload_3.so")
