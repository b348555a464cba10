"""A console that ``causeway-console setup`` makes in a folder, by the user of the tests and without services."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from console.core import environment_file
from tests.ports import free_port
from tests.running import ROOT, ran

PASSWORD = "ein-langes-Passwort"
WHEEL = "causeway-0.1.0-py3-none-any.whl"


class Installed:
    """``folder``: everything lies in it, under names that no shell and no URL takes for granted."""

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self.state, self.file = folder / "Zustand #1 & mehr", folder / "etc dir" / "konsole ü.env"
        self.wheel = folder / WHEEL
        self.wheel.write_bytes(b"a wheel")
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CAUSEWAY_", "DJANGO_"))
        }
        kept.pop("DATABASE_URL", None)
        self.environment = kept | ({"DATABASE_URL": database} if database else {})

    def prepare(self) -> None:
        """Have static files not compressed, which takes long and shows nothing."""
        self.file.parent.mkdir()
        environment_file.write(self.file, {"CAUSEWAY_STATIC_COMPRESSED": "0"}, "of a test")

    def command(self, *words: str | Path) -> list[str | Path]:
        return [sys.executable, "-m", "causeway_console", "--environment", self.file, *words]

    def run(self, *words: str | Path, said: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        known: dict[str, Any] = {"cwd": ROOT, "env": self.environment, "input": said, "seconds": 300}
        return ran(*self.command(*words), **known | options)

    def setup(
        self, *words: str | Path, said: str = f"{PASSWORD}\n", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        usual = ("--url", self.url, "--state", self.state, "--wheel", self.wheel, "--administrator", "änne")
        listen = ("--listen", f"127.0.0.1:{self.port}")
        return self.run("setup", "--no-services", *usual, *listen, *words, said=said, **options)

    def settings(self) -> dict[str, str]:
        return environment_file.read(self.file)

    def manage(self, code: str) -> str:
        """Return what a piece of Python prints within the console."""
        done = self.run("manage", "shell", "--no-imports", "--command", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def findings(self) -> dict[str, dict[str, str]]:
        """Return what the doctor finds, by its name; of several of one name the worst."""
        done = self.run("doctor", "--json", "--wait", "0")
        assert done.stdout, done.stderr
        order = ("ok", "warning", "error")
        found = sorted(json.loads(done.stdout), key=lambda each: order.index(each["severity"]))
        assert done.returncode == (1 if found[-1]["severity"] == "error" else 0)
        return {each["name"]: each for each in found}

    def modes(self) -> dict[str, int]:
        """Return what others may do with the files, but for static ones."""
        paths = [self.file, self.state, *self.state.rglob("*")]
        return {str(path): path.stat().st_mode & 0o077 for path in paths if "static" not in path.parts}
