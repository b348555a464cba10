"""Compiles the module: for this machine when Causeway is installed, for all platforms when a release is made.

``python -m edge.envoy.module.build`` makes the files of all platforms, by the ``ziglang`` package of PyPI; with
``--here`` only that of this machine, if it is not there.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge.envoy.module import (
    HEADERS,
    PLATFORMS,
    PRELOADED,
    SOURCES,
    is_built,
    library,
    made_of,
    this_platform,
)

FLAGS = ("-std=gnu11", "-O2", "-s", "-Wall", "-Wextra", "-fPIC", "-pthread", "-shared")
# Envoy's own functions are found when it loads the module.
MACOS_FLAGS = ("-Wl,-undefined,dynamic_lookup",)


class BuildError(Exception):
    """There is no compiler, or it failed; the message says which."""


def build_here() -> Path:
    """Compile for this machine, by its compiler or by Zig, unless that was done. Raises `BuildError`."""
    youngest = max(path.stat().st_mtime for path in (*SOURCES, *HEADERS, *PRELOADED))
    if is_built() and all(made.stat().st_mtime >= youngest for made in made_of(this_platform())):
        return library()
    own = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if own is not None:
        return compile_for(this_platform(), [own])
    return compile_for(this_platform(), _zig(this_platform()))


def build_all() -> list[Path]:
    """Compile for every platform by Zig. Raises `BuildError`."""
    return [compile_for(platform, _zig(platform)) for platform in PLATFORMS]


def compile_for(platform: str, compiler: list[str]) -> Path:
    """Compile to where Envoy is told to look, and return the module; an old file lives on until a new one is there."""
    if platform not in PLATFORMS:
        raise BuildError(f"There is no Envoy for {platform}.")
    library(platform).parent.mkdir(exist_ok=True)
    extra = MACOS_FLAGS if platform.startswith("macos") else ()
    for made, sources in made_of(platform).items():
        unfinished = made.with_name(f".{made.name}.{os.getpid()}")
        command = [*compiler, *FLAGS, *extra, "-o", str(unfinished), *map(str, sources)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise BuildError(f"{compiler[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")
            unfinished.replace(made)
        finally:
            unfinished.unlink(missing_ok=True)
    return library(platform)


def _zig(platform: str) -> list[str]:
    if importlib.util.find_spec("ziglang") is None:
        raise BuildError("There is neither a C compiler nor the package ziglang.")
    return [sys.executable, "-m", "ziglang", "cc", "-target", PLATFORMS.get(platform, platform)]


if __name__ == "__main__":
    try:
        for path in [build_here()] if sys.argv[1:] == ["--here"] else build_all():
            print(path)  # noqa: T201
    except BuildError as error:
        raise SystemExit(str(error)) from error
