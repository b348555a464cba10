"""The commands ``backup`` and ``restore`` as an operator calls them, and what a console holds before and after."""

from __future__ import annotations

import random
from io import StringIO
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command

# What a restore changes on purpose, looked at by tests of its own.
CHANGED = {
    "AuditRow", "Authority", "ConfigVersion", "Cutover", "CutoverConfirmation", "EnrollmentCode", "PastEpoch",
    "LogIn", "PasswordLink", "UserSession",
}  # fmt: skip
WHEEL = "causeway-0.1.0-py3-none-any.whl"
# Content of the wheel, which no packing makes smaller: the backup has several pieces.
CONTENT = random.Random(7).randbytes(300_000)


def run(command: str, *arguments: object, key: Path) -> str:
    out = StringIO()
    call_command(command, *map(str, arguments), "--key-file", str(key), stdout=out)
    return out.getvalue()


def made(folder: Path) -> Path:
    run("backup", folder / "one", key=folder / "key")
    return folder / "one"


def rows() -> dict[str, list[Any]]:
    """Return every row of every table but of those that a restore changes."""
    return {
        model.__name__: sorted(map(repr, model._base_manager.values()))
        for model in apps.get_models()
        if model.__name__ not in CHANGED
    }
