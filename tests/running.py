"""Programs that tests run to their end."""

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def ran(*command: str | Path, seconds: float | None = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code is, and return what the program said."""
    known = {"capture_output": True, "text": True, "check": False, "timeout": seconds}
    return subprocess.run(command, **known | options)


def causeway(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this checkout's ``causeway`` to its end."""
    return ran(sys.executable, "-m", "edge.cli", *arguments, cwd=ROOT, **options)
