"""Wheels to install: of other versions, with other contents, and all that they need."""

import atexit
import functools
import io
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.demo import ROOT, Demo
from tests.edge.deploy_script import called
from tests.running import ran

NOT_SOURCE = shutil.ignore_patterns(
    ".*", "var", "dist", "build", "tests", "bench", "demo", "docs", "__pycache__", "*.sqlite3"
)
# The agent of each kind, as a version that does not start.
BROKEN = b"raise RuntimeError('this version is broken')\n"
AGENT = {"connector": "edge/server/agent.py", "gateway": "edge/gateway/agent.py"}


def built_wheel(target: Path, version: str, changes: Mapping[str, bytes]) -> Path:
    """Build a wheel of another version out of this very source, some of its files replaced; it lies in ``target``."""
    source = target / f"source-{version}"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    project = source / "pyproject.toml"
    text, count = re.subn(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text())
    assert count == 1
    project.write_text(text)
    for name, content in changes.items():
        assert (source / name).exists(), name
        (source / name).write_bytes(content)
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(target), str(source))
    shutil.rmtree(source)
    return next(target.glob(f"causeway-{version}-*.whl"))


def with_file(wheel: bytes, name: str, data: bytes) -> bytes:
    """A wheel with one file replaced or added."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(wheel)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for entry in source.infolist():
            if entry.filename != name:
                out.writestr(entry, source.read(entry))
        out.writestr(name, data)
    return target.getvalue()


@contextmanager
def offered(demo: Demo) -> Iterator[Path]:
    """The console's folder of wheels; what is added or replaced there is as before in the end."""
    folder = demo.home / "wheel"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            if path not in before:
                path.unlink()
            elif path.read_bytes() != before[path]:
                path.write_bytes(before[path])


def deployment_python(*within: str) -> str:
    """The Python that the script chooses on this machine, when ``within`` leads to its user; empty: there is none."""
    around = """
        say() { :; }; prepare_user() { :; }
        fail() { exit 0; }
        as_user() { $within "$@"; }
        {function}
        printf %s "$python"
    """
    return called("find_python", {"within": " ".join(within)}, around)


@functools.cache
def wheelhouse(wheel: Path, python: str) -> Path:
    """A folder with all packages that ``wheel`` needs, so that the package index is asked once in a run of tests."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-wheels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pip("--python", python, "download", "-q", "-d", str(folder), str(wheel))
    (folder / wheel.name).unlink(missing_ok=True)
    folder.chmod(0o755)
    return folder


def packages(demo: Demo, python: str) -> Path:
    return wheelhouse(next((demo.home / "wheel").glob("causeway-*.whl")), python)


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    done = ran(*command, seconds=300)
    assert done.returncode == 0, done.stderr
